import {
  type ClusterView,
  EMPTY_VIEW,
  memberOf,
  nextView,
  type NodeDescription,
  type ViewStep,
} from "./view.ts";
import { decodeView, encodeView } from "./view_json.ts";
import { recordLimit } from "../record_limit.ts";
import { VIEW_KEY } from "../subjects.ts";
import { encodeJson } from "../../store/base/json.ts";
import { Notifier } from "../../store/base/notifier.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import { backoff } from "../../store/nats/backoff.ts";

type JoinStep = Extract<ViewStep, { readonly type: "join" }>;

/**
 * The stored view as this process knows it: a cache that only grows, and a compare-and-set that
 * any number of processes may use at once.
 */
export class ViewStore {
  /** Notified of every new view. */
  readonly changed: Notifier = new Notifier();
  readonly #bucket: Bucket;
  readonly #writer: string;
  #view = EMPTY_VIEW;

  /** On the key of `bucket`; `writer` is unlike that of any other process. */
  constructor(bucket: Bucket, writer: string) {
    this.#bucket = bucket;
    this.#writer = writer;
  }

  /** The newest view that this process knows. */
  get view(): ClusterView {
    return this.#view;
  }

  /** Takes a view from elsewhere, if it is newer than the known one. */
  adopt(view: ClusterView): void {
    if (view.version <= this.#view.version) return;
    this.#view = view;
    this.changed.notify();
  }

  /**
   * Reads the stored view from the server.
   *
   * @throws {StoreUnavailableError} The server does not answer.
   * @throws {TypeError} What is stored is no view.
   */
  async refresh(timeout?: number): Promise<ClusterView> {
    const { value } = await this.#bucket.get(VIEW_KEY, timeout);
    if (value !== undefined) this.adopt(decodeView(value));
    return this.#view;
  }

  /**
   * Makes the steps that `steps` returns for the stored view, again if another process was quicker;
   * writes a view that was lost again. Returns the view that is stored in the end.
   *
   * @throws {StoreUnavailableError} The server does not answer.
   * @throws {TypeError} What is stored is no view.
   */
  async write(
    steps: (view: ClusterView) => Iterable<ViewStep>,
    timeout?: number,
  ): Promise<ClusterView> {
    let result = this.#view;
    await this.#bucket.update(VIEW_KEY, ({ value }) => {
      const stored = value === undefined ? EMPTY_VIEW : decodeView(value);
      const base = stored.version < this.#view.version ? this.#view : stored;
      result = this.#fitting(base, [...steps(base)]);
      if (result === base && base !== stored) result = { ...base, version: base.version + 1 };
      return result === stored ? undefined : encodeView(result, this.#writer);
    }, timeout);
    this.adopt(result);
    return this.#view;
  }

  /**
   * Bytes that the known view takes with `node` in it, and how many it may take. A node that
   * takes the place of a member that was as large always fits.
   */
  sizeWith(node: NodeDescription): { readonly size: number; readonly limit: number } {
    const { view } = this;
    const step = { type: "join", node } as const;
    return { size: this.#sizeOf(nextView(view, [step])), limit: this.#limitOf(view, step) };
  }

  /** The view after the steps, without the nodes that join and do not fit. */
  #fitting(view: ClusterView, steps: readonly ViewStep[]): ClusterView {
    let next = nextView(view, steps);
    const joins = steps.filter((step) => step.type === "join");
    if (joins.length === 0 || this.#sizeOf(next) <= this.#limit) return next;
    let taken: readonly ViewStep[] = steps.filter((step) => step.type !== "join");
    next = nextView(view, taken);
    for (const join of joins) {
      const longer = nextView(view, [...taken, join]);
      if (this.#sizeOf(longer) > this.#limitOf(next, join)) continue;
      [next, taken] = [longer, [...taken, join]];
    }
    return next;
  }

  #limitOf(view: ClusterView, { node }: JoinStep): number {
    const member = memberOf(view, node.nodeId);
    const isGrowth = member === undefined || encodeJson(node).length > encodeJson(member).length;
    return isGrowth ? this.#limit : Infinity;
  }

  get #limit(): number {
    return recordLimit(this.#bucket.requests.maxPayload);
  }

  #sizeOf(view: ClusterView): number {
    return encodeView(view, this.#writer).length;
  }

  /**
   * Follows the stored view until `signal` is aborted; `report` gets errors about data that is no
   * view, and refusals of the server.
   */
  async follow(
    signal: AbortSignal,
    reconcile: number,
    report: (error: unknown) => void,
  ): Promise<void> {
    const { requests } = this.#bucket;
    const retry = backoff(Infinity, signal);
    const options = { filter: VIEW_KEY, reconcile, signal, report };
    do {
      for await (const { value } of this.#bucket.watch(options)) {
        try {
          if (value !== undefined) this.adopt(decodeView(value));
        } catch (error) {
          report(error);
        }
      }
    } while (!signal.aborted && await retry(requests));
  }
}
