import {
  type BatchObservableCallback,
  context,
  type Histogram,
  type Meter,
  type ObservableGauge,
  SpanKind,
} from "@opentelemetry/api";
import type { CommandAnswer, CommandMessage } from "./commands/messages.ts";
import type { ClusterDescription } from "./description.ts";
import { installedMeter } from "../store/telemetry/instruments.ts";
import { endSpan, errorType, Spans, traceContextOf } from "../store/telemetry/spans.ts";

/** The values that the gauges show of a node. */
type Watched = Pick<
  ClusterDescription,
  "actors" | "coordinates" | "handling" | "leader" | "nodeId" | "phases" | "sending" | "view"
>;

/** Bounds of the histograms, in s. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * A node's OpenTelemetry instruments and spans. The semantic conventions name none of them, so all
 * begin with `aether.cluster.`: gauges `members` `{node}`, `shards` `{shard}` by
 * `aether.shard.phase`, `leads` and `coordinates` (0 or 1), `actors` `{actor}`, `handling` and
 * `sending` `{command}`; histograms `send.duration` and `handle.duration` in `s`, with `error.type`
 * if there was an error. Install the metrics SDK before you join.
 */
export class ClusterTelemetry {
  readonly #namespace: string;
  readonly #spans = new Spans();
  readonly #sent: Histogram | undefined;
  readonly #handled: Histogram | undefined;
  #unwatch: () => void = () => {};

  /** For a node of `namespace`. */
  constructor(namespace: string) {
    this.#namespace = namespace;
    const meter = installedMeter();
    const duration = (name: string, description: string) =>
      meter?.createHistogram(`aether.cluster.${name}.duration`, {
        description,
        unit: "s",
        advice: { explicitBucketBoundaries: BOUNDS },
      });
    this.#sent = duration("send", "From when a command is sent to when it has its reply");
    this.#handled = duration("handle", "From when a command comes to its owner to its reply");
  }

  /** Calls `look` whenever the SDK collects. */
  watch(look: () => Watched): void {
    const meter = installedMeter();
    if (meter !== undefined) this.#unwatch = watch(meter, this.#namespace, look);
  }

  /** Sends a command in a span of its own; the span's context travels with it. */
  send<T>(message: CommandMessage, work: (message: CommandMessage) => Promise<T>): Promise<T> {
    const kind = SpanKind.CLIENT;
    return this.#watched(
      "send",
      message,
      kind,
      this.#sent,
      (trace) => work(trace === undefined ? message : { ...message, trace }),
    );
  }

  /** Handles a command, in a span under its sender's. */
  handle(message: CommandMessage, work: () => Promise<CommandAnswer>): Promise<CommandAnswer> {
    return this.#watched("handle", message, SpanKind.SERVER, this.#handled, work);
  }

  /** Detaches from the SDK. */
  end(): void {
    this.#unwatch();
  }

  async #watched<T>(
    what: "send" | "handle",
    { id, actorId, trace }: CommandMessage,
    kind: SpanKind,
    histogram: Histogram | undefined,
    work: (trace: CommandMessage["trace"]) => Promise<T>,
  ): Promise<T> {
    if (histogram === undefined && !this.#spans.installed) return await work(undefined);
    const start = performance.now();
    const attributes = { "aether.cluster.namespace": this.#namespace };
    const spanned = this.#spans.installed
      ? this.#spans.begin({
        name: `${what} ${this.#namespace}`,
        kind,
        attributes: { ...attributes, "aether.actor.id": actorId, "aether.command.id": id },
        events: trace === undefined ? [] : [{ metadata: trace }],
        under: what === "send" ? "active" : "event",
      })
      : undefined;
    const own = spanned && traceContextOf(spanned.span);
    const ended = (failure?: { readonly error: unknown }) => {
      const error = failure && { "error.type": errorType(failure.error) };
      histogram?.record((performance.now() - start) / 1000, { ...attributes, ...error });
      if (spanned !== undefined) endSpan(spanned.span, failure);
    };
    try {
      const result = await (spanned === undefined
        ? work(undefined)
        : context.with(spanned.within, () =>
          work(own)));
      ended(what === "handle" ? failureIn(result) : undefined);
      return result;
    } catch (error) {
      ended({ error });
      throw error;
    }
  }
}

/** The handler's error, if `result` is an answer that carries one. */
function failureIn(result: unknown): { readonly error: Error } | undefined {
  const { kind, error } = (result ?? {}) as Partial<CommandAnswer & { kind: "failed" }>;
  if (kind !== "failed" || error === undefined) return undefined;
  return { error: Object.assign(new Error(error.message), { name: error.name }) };
}

/** Registers the gauges of the node's state; returns a function that removes them. */
function watch(meter: Meter, namespace: string, look: () => Watched): () => void {
  const gauge = (name: string, description: string, unit = ""): ObservableGauge =>
    meter.createObservableGauge(`aether.cluster.${name}`, { description, unit });
  const members = gauge("members", "Nodes in the view", "{node}");
  const shards = gauge("shards", "Shards of this node, by what it does with them", "{shard}");
  const leads = gauge("leads", "Whether this node has the lease, as it knows");
  const coordinates = gauge("coordinates", "Whether this node deals the shards out");
  const actors = gauge("actors", "Actors of this node that are active", "{actor}");
  const handling = gauge("handling", "Commands that this node handles", "{command}");
  const sending = gauge("sending", "Commands of this node without an answer yet", "{command}");
  const all = [members, shards, leads, coordinates, actors, handling, sending];
  const observe: BatchObservableCallback = (result) => {
    const node = look();
    const attributes = { "aether.cluster.namespace": namespace };
    result.observe(members, node.view.members.length, attributes);
    for (const [phase, count] of node.phases) {
      result.observe(shards, count, { ...attributes, "aether.shard.phase": phase });
    }
    result.observe(leads, Number(node.leader?.nodeId === node.nodeId), attributes);
    result.observe(coordinates, Number(node.coordinates), attributes);
    result.observe(actors, node.actors, attributes);
    result.observe(handling, node.handling, attributes);
    result.observe(sending, node.sending, attributes);
  };
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}
