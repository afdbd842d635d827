import { LONGEST_TIMER } from "../../store/base/sleep.ts";

/**
 * Ends a handler's work when nobody can use it any more. Made when the handler asks for it: most do
 * not, and commands are many.
 */
export class CommandSignal {
  readonly #due: number;
  readonly #going: () => AbortSignal;
  readonly #late = new AbortController();
  #signal: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** @param due When the sender gives up, by the monotonic clock; `going` is aborted with the shard. */
  constructor(due: number, going: () => AbortSignal) {
    this.#due = due;
    this.#going = going;
  }

  /** The signal, the same at each call. */
  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    const left = this.#due - performance.now();
    const over = () =>
      this.#late.abort(new DOMException("The command's sender has given it up", "TimeoutError"));
    if (left <= 0) over();
    else if (left <= LONGEST_TIMER && !this.#isOver) this.#timer = setTimeout(over, left);
    return this.#signal = AbortSignal.any([this.#late.signal, this.#going()]);
  }

  /** Whether `error` says that the sender has given the command up. */
  isReason(error: unknown): boolean {
    return this.#late.signal.aborted && error === this.#late.signal.reason;
  }

  /** The handler has ended. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

/** Signals that are aborted when a shard goes, by shard; made when asked for. */
export class ShardSignals {
  readonly #controllers = new Map<number, AbortController>();

  /** The signal of a shard; aborted already unless it is served. */
  of(shard: number, isServed: boolean): AbortSignal {
    if (!isServed) return AbortSignal.abort(leaving(shard));
    let controller = this.#controllers.get(shard);
    if (controller === undefined) {
      this.#controllers.set(shard, controller = new AbortController());
    }
    return controller.signal;
  }

  /** The shard goes. */
  abort(shard: number): void {
    this.#controllers.get(shard)?.abort(leaving(shard));
    this.#controllers.delete(shard);
  }

  /** All of them go. */
  abortAll(): void {
    for (const shard of [...this.#controllers.keys()]) this.abort(shard);
  }
}

function leaving(shard: number): DOMException {
  return new DOMException(`Shard ${shard} leaves this node`, "AbortError");
}
