import {
  type ClusterView,
  EMPTY_VIEW,
  memberOf,
  nextView,
  type NodeDescription,
  type ViewStep,
} from "./view.ts";
import { decodeView, encodeView, VIEW_FORMAT } from "./view_json.ts";
import { isOfLaterFormat } from "../stored_format.ts";
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
  readonly #report: (error: unknown) => void;
  #view = EMPTY_VIEW;
  #isDamaged = false;

  /**
   * On the key of `bucket`; `writer` is unlike that of any other process; `report` gets errors
   * about data that is no view, and refusals of the server.
   */
  constructor(bucket: Bucket, writer: string, report: (error: unknown) => void = console.warn) {
    this.#bucket = bucket;
    this.#writer = writer;
    this.#report = report;
  }

  /** Whether the key held no view when it was read last, so that somebody has to write one. */
  get isDamaged(): boolean {
    return this.#isDamaged;
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
   * @throws {TypeError} A later version of this library has written the view.
   */
  async refresh(timeout?: number): Promise<ClusterView> {
    const { value } = await this.#bucket.get(VIEW_KEY, timeout);
    const stored = this.#decode(value);
    if (stored !== undefined) this.adopt(stored);
    return this.#view;
  }

  /**
   * Makes the steps that `steps` returns for the stored view, again if another process was quicker;
   * writes a view that was lost or damaged again. Returns the view that is stored in the end.
   *
   * @throws {StoreUnavailableError} The server does not answer.
   * @throws {TypeError} A later version of this library has written the view.
   */
  async write(
    steps: (view: ClusterView) => Iterable<ViewStep>,
    timeout?: number,
  ): Promise<ClusterView> {
    let result = this.#view;
    const { value } = await this.#bucket.update(VIEW_KEY, ({ value }) => {
      const stored = this.#decode(value) ?? EMPTY_VIEW;
      const base = stored.version < this.#view.version ? this.#view : stored;
      result = this.#fitting(base, [...steps(base)]);
      if (result === base && base !== stored) result = { ...base, version: base.version + 1 };
      return result === stored ? undefined : encodeView(result, this.#writer);
    }, timeout);
    // An earlier try may be the one that is stored, with fewer steps.
    this.adopt(this.#decode(value) ?? result);
    this.#isDamaged = false;
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

  /** Follows the stored view until `signal` is aborted. */
  async follow(signal: AbortSignal, reconcile: number): Promise<void> {
    const { requests } = this.#bucket;
    const retry = backoff(Infinity, signal);
    const options = { filter: VIEW_KEY, reconcile, signal, report: this.#report };
    do {
      for await (const { value } of this.#bucket.watch(options)) {
        try {
          const stored = this.#decode(value);
          if (stored !== undefined) this.adopt(stored);
          if (this.#isDamaged) this.changed.notify();
        } catch (error) {
          this.#report(error);
        }
      }
    } while (!signal.aborted && await retry(requests));
  }

  /** The stored view; `undefined` if there is none, or something that is no view. */
  #decode(value: Uint8Array | undefined): ClusterView | undefined {
    this.#isDamaged = false;
    if (value === undefined) return undefined;
    try {
      return decodeView(value);
    } catch (error) {
      if (isOfLaterFormat(value, VIEW_FORMAT)) throw error;
      this.#isDamaged = true;
      this.#report(error);
      return undefined;
    }
  }
}
