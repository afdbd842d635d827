import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { RequestError } from "../../store/nats/request_error.ts";

/** Notifies those who wait for a node's answer once the node is no longer a member. */
export class Departures {
  readonly #changed: Notifier;
  readonly #isThere: (node: NodeIncarnation) => boolean;
  readonly #watched = new Map<
    string,
    { readonly node: NodeIncarnation; readonly waiting: Set<() => void> }
  >();
  #stop: (() => void) | undefined;

  /** Checks at each change. */
  constructor(changed: Notifier, isThere: (node: NodeIncarnation) => boolean) {
    this.#changed = changed;
    this.#isThere = isThere;
  }

  /**
   * The outcome of `answer`, unless this incarnation of a node leaves first: then the answer never
   * comes, and the node may have done what it was asked.
   */
  async unlessGone<T>(node: NodeIncarnation, answer: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const stop = this.#watch(node, () => {
      reject(new RequestError("interrupted", `node ${node.nodeId}`, true));
    });
    answer.then(resolve, reject);
    try {
      return await promise;
    } finally {
      stop();
    }
  }

  /**
   * Calls `gone` when this incarnation of a node has left, unless the returned function is called
   * before.
   */
  #watch(node: NodeIncarnation, gone: () => void): () => void {
    const key = incarnationKey(node);
    let watched = this.#watched.get(key);
    if (watched === undefined) this.#watched.set(key, watched = { node, waiting: new Set() });
    const { waiting } = watched;
    waiting.add(gone);
    this.#stop ??= this.#changed.listen(() => this.#look());
    return () => {
      if (!waiting.delete(gone) || waiting.size > 0) return;
      this.#watched.delete(key);
      if (this.#watched.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  }

  #look(): void {
    for (const { node, waiting } of [...this.#watched.values()]) {
      if (!this.#isThere(node)) { for (const gone of [...waiting]) gone(); }
    }
  }
}
