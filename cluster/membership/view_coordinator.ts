import type { Subscription } from "@nats-io/nats-core";
import { isAetherError } from "../../store/errors.ts";
import type { NodeIncarnation } from "../incarnation.ts";
import type { FailureWatch } from "./failure_watch.ts";
import { type ClusterView, memberOf, type ViewStep } from "./view.ts";
import { decodeStep, encodeView, originIn } from "./view_json.ts";
import type { ViewStore } from "./view_store.ts";
import { coordinatorSubject } from "../subjects.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import type { Connection } from "../../store/connection.ts";
import { backoff } from "../../store/nats/backoff.ts";
import type { RequestMux } from "../../store/nats/requests.ts";
import { total } from "../../store/nats/total.ts";

/** The parts that a view coordinator needs. */
export interface ViewCoordinatorParts {
  readonly connection: Connection;
  readonly namespace: string;
  readonly requests: RequestMux;
  /** The bucket that holds the view; see {@linkcode Bucket.origin}. */
  readonly origin: string;
  readonly store: ViewStore;
  readonly failureWatch: FailureWatch;
  /** Notified of pings and of views. */
  readonly changed: Notifier;
  /** Gets errors about stored data that is no view. */
  readonly report: (error: unknown) => void;
}

/** A step that a caller waits for. */
interface ViewRequest {
  readonly step: ViewStep;
  readonly done: (view: ClusterView | undefined) => void;
}

/** How often to look at the view when nothing happens, in ms. */
const IDLE = 15_000;
/**
 * From one time that it names itself to the next, in ms: else two at once would do nothing else.
 */
const NAMING = 2_000;
/**
 * How long one attempt to write the view may take, in ms: the node that asked writes it alone by
 * then.
 */
const TRY = 2_000;

/**
 * The coordinator's work on members: makes the steps that others ask for, and takes out nodes that
 * have crashed or hang. Any number of nodes may do it at once: each view is written by
 * compare-and-set on the one before, and every step names the incarnation that it is about.
 */
export class ViewCoordinator {
  readonly #parts: ViewCoordinatorParts;
  readonly #self: NodeIncarnation;
  #wishes: ViewRequest[] = [];
  #namedAt = -Infinity;
  #isOver = false;

  /** For `self`, which has to be a member. */
  constructor(parts: ViewCoordinatorParts, self: NodeIncarnation) {
    this.#parts = parts;
    this.#self = self;
  }

  /** Coordinates until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { requests, changed } = this.#parts;
    const subscription = this.#listen();
    const stop = () => void this.#answer(this.#wishes.splice(0), undefined);
    signal.addEventListener("abort", stop, { once: true });
    let retry = backoff(Infinity, signal);
    let lookedAt = -Infinity;
    while (!signal.aborted && !requests.closed) {
      const { count } = changed;
      const isIdle = performance.now() - lookedAt >= IDLE;
      if (!isIdle && !this.#isNeeded()) {
        await changed.wait(IDLE, signal, count);
        continue;
      }
      try {
        await this.#write();
        lookedAt = performance.now();
        retry = backoff(Infinity, signal);
      } catch (error) {
        if (!isAetherError(error, "StoreUnavailableError")) this.#parts.report(error);
        await retry(requests);
      }
    }
    signal.removeEventListener("abort", stop);
    this.#isOver = true;
    stop();
    // Requests on their way are still answered: the asker may be in a hurry.
    if (!this.#parts.connection.isClosed()) subscription.drain().catch(() => {});
  }

  /** Makes a step; returns the view with it, `undefined` if it may not have been made. */
  propose(step: ViewStep): Promise<ClusterView | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<ClusterView | undefined>();
    this.#wishes.push({ step, done: resolve });
    this.#parts.changed.notify();
    return promise;
  }

  #listen(): Subscription {
    const { connection, namespace, origin } = this.#parts;
    return connection.subscribe(coordinatorSubject(namespace), {
      callback: total("making a step of the view", async (error, message) => {
        if (error !== null) return;
        // Nodes beside another JetStream are heard over a leaf node: theirs is another cluster,
        // whose own coordinator may answer.
        if (originIn(message.data) !== origin) return;
        const step = decodeStep(message.data);
        const view = step && await this.propose(step);
        if (connection.isClosed()) return;
        message.respond(view === undefined ? "" : encodeView(view, this.#self.incarnation));
      }),
    });
  }

  #isNeeded(): boolean {
    const { store: { view } } = this.#parts;
    const { nodeId, incarnation } = this.#self;
    if (this.#wishes.length > 0 || this.#parts.store.isDamaged) return true;
    if (memberOf(view, nodeId, incarnation) === undefined) return false;
    const isUnnamed = view.coordinator !== nodeId && performance.now() - this.#namedAt >= NAMING;
    return isUnnamed || this.#departures(view).length > 0;
  }

  async #write(): Promise<void> {
    const { nodeId } = this.#self;
    const wishes = this.#wishes.splice(0);
    const names = performance.now() - this.#namedAt >= NAMING;
    let view: ClusterView | undefined;
    try {
      // Evaluated at the write, so that the newest knowledge counts.
      view = await this.#parts.store.write((view) => [
        ...wishes.map(({ step }) => step),
        ...names || view.coordinator === undefined ? [{ type: "coordinate" as const, nodeId }] : [],
        ...this.#departures(view),
      ], TRY);
      if (names) this.#namedAt = performance.now();
    } finally {
      this.#answer(wishes, view);
    }
  }

  #answer(wishes: readonly ViewRequest[], view: ClusterView | undefined): void {
    for (const { done } of wishes) done(view);
  }

  #departures(view: ClusterView): ViewStep[] {
    return view.members.flatMap(({ nodeId, incarnation }) => {
      if (nodeId === this.#self.nodeId) return [];
      const how = this.#parts.failureWatch.outOf({ nodeId, incarnation });
      return how === undefined ? [] : [{ type: "depart", nodeId, incarnation, how }];
    });
  }
}
