import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { RequestError } from "../../store/nats/request_error.ts";

/** Tells those who wait for a node's answer that the node is no member any more. */
export class Departures {
  readonly #changed: Notifier;
  readonly #isThere: (life: NodeIncarnation) => boolean;
  readonly #watched = new Map<
    string,
    { readonly life: NodeIncarnation; readonly told: Set<() => void> }
  >();
  #stop: (() => void) | undefined;

  /** Looks at each of the `news`. */
  constructor(changed: Notifier, isThere: (life: NodeIncarnation) => boolean) {
    this.#changed = changed;
    this.#isThere = isThere;
  }

  /**
   * What `answer` gives, unless this life of a node has gone before it came: it never will, then,
   * and whatever the node was asked may have been done.
   */
  async unlessGone<T>(life: NodeIncarnation, answer: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const stop = this.#watch(life, () => {
      reject(new RequestError("interrupted", `node ${life.nodeId}`, true));
    });
    answer.then(resolve, reject);
    try {
      return await promise;
    } finally {
      stop();
    }
  }

  /** Calls `gone` when this life of a node has gone, unless what it gives is called before. */
  #watch(life: NodeIncarnation, gone: () => void): () => void {
    const key = incarnationKey(life);
    let watched = this.#watched.get(key);
    if (watched === undefined) this.#watched.set(key, watched = { life, told: new Set() });
    const { told } = watched;
    told.add(gone);
    this.#stop ??= this.#changed.listen(() => this.#look());
    return () => {
      if (!told.delete(gone) || told.size > 0) return;
      this.#watched.delete(key);
      if (this.#watched.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  }

  #look(): void {
    for (const { life, told } of [...this.#watched.values()]) {
      if (!this.#isThere(life)) { for (const gone of [...told]) gone(); }
    }
  }
}
