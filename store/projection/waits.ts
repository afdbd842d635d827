import { either, unlessAborted } from "../base/abort.ts";
import type { Notifier } from "../base/notifier.ts";
import { type LagParts, statesOf, unhandled } from "./lag.ts";
import { Reach } from "./reach.ts";
import type { ProjectionControl } from "./state.ts";

/** How long a projection may stand still until a caller that waits for it is warned, in ms. */
const WARNING = 5_000;
/** How long until the wait ends: longer than an event is tried again by default. */
const END = 60_000;

/** Watches a projection that a caller waits for, and that this process does not run. */
export class IdleWatch {
  readonly #now: () => number;
  #positions = "";
  #since: number;
  #warned = false;
  #isStuck = false;

  /** Whether the wait seems to be for nothing: long enough to warn, and nothing has moved since. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Begins to watch; `now` is a monotonic clock, in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /**
   * How to treat partitions at `positions`: warn, once, or end the wait.
   *
   * @param isIdle Whether this process does nothing to move them.
   */
  look(positions: readonly number[], isIdle: boolean): "warn" | "end" | undefined {
    const text = positions.join();
    if (!isIdle || text !== this.#positions) {
      this.#positions = text;
      this.#since = this.#now();
      this.#isStuck = false;
      return undefined;
    }
    const stood = this.#now() - this.#since;
    if (stood >= END) return "end";
    this.#isStuck = stood >= WARNING;
    if (!this.#isStuck || this.#warned) return undefined;
    this.#warned = true;
    return "warn";
  }
}

/** The first wait between two looks for what another process has handled, and the longest, in ms. */
const LOOKS = { first: 5, last: 250 } as const;

/** The parts of {@linkcode ProjectionWaits}. */
export interface WaitParts<Tx> extends LagParts<Tx> {
  /** Tells of what this process has handled. */
  readonly progress: Notifier;
  /** How often to look for what others have handled, in ms. */
  readonly poll: number;
  readonly onError: (error: unknown) => void;
  /** Ends all waits. */
  readonly stop: AbortSignal;
  readonly control: () => Promise<ProjectionControl>;
  /** Whether this process runs the projection. */
  readonly isRunning: () => boolean;
  /** Throws why this process has stopped running it, if it has. */
  readonly throwIfFailed: () => void;
}

/** Waits for what a projection does, in this process or in another one. */
export class ProjectionWaits<Tx> {
  readonly #parts: WaitParts<Tx>;

  /** Waits for nothing yet. */
  constructor(parts: WaitParts<Tx>) {
    this.#parts = parts;
  }

  /** Resolves when all events that are stored now are handled or parked. */
  async caughtUp(): Promise<void> {
    const { stop, control, isRunning, throwIfFailed, onError } = this.#parts;
    const { active } = await control();
    const { last } = await unlessAborted(
      stop,
      unhandled(this.#parts, active, { signal: stop }),
    );
    const idle = new IdleWatch();
    await this.until(
      async () => {
        throwIfFailed();
        const { active: { version }, paused } = await control();
        if (version !== active.version) return await this.caughtUp().then(() => true);
        const states = await statesOf(this.#parts, active);
        if (states.every(({ sequence }, at) => sequence >= last[at]!)) return true;
        const positions = states.map(({ sequence }) => sequence);
        const outcome = idle.look(positions, !isRunning() || paused);
        if (outcome === "warn") onError(this.#idle("catch up", paused));
        if (outcome === "end") throw this.#idle("catch up", paused);
        return undefined;
      },
      { holds: () => !idle.isStuck },
    );
  }

  /** Resolves when all events up to position `sequence` are handled or parked. */
  async reached(sequence: number, signal: AbortSignal): Promise<void> {
    const { progress, control, throwIfFailed } = this.#parts;
    const reach = new Reach(this.#parts, sequence);
    for (let wait: number = LOOKS.first;; wait = Math.min(2 * wait, LOOKS.last)) {
      signal.throwIfAborted();
      const { count } = progress;
      throwIfFailed();
      if (await reach.look((await control()).active, signal)) return;
      await progress.wait(wait, signal, count);
    }
  }

  /**
   * The first result of `look` that is not `undefined`: it waits for work that some process has to
   * do, and tells once, by `onError`, if none seems to.
   *
   * @param what The work: the projection "does not ${what}".
   */
  async untilDone<T>(
    what: string,
    look: () => Promise<T | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { control, isRunning, onError } = this.#parts;
    const idle = new IdleWatch();
    return await this.until(async () => {
      const found = await look();
      if (found !== undefined) return found;
      const { active, next = active, paused } = await control();
      const isIdle = !isRunning() || paused;
      const states = isIdle ? await statesOf(this.#parts, next) : [];
      const outcome = idle.look(states.map(({ sequence }) => sequence), isIdle);
      if (outcome === "warn") onError(this.#idle(what, paused));
      return undefined;
    }, { signal, holds: () => !idle.isStuck });
  }

  /** The first result of `look` that is not `undefined`; it looks at progress and every `poll` ms. */
  async until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    { signal, holds }: { signal?: AbortSignal | undefined; holds?: () => boolean } = {},
  ): Promise<T> {
    const { stop, progress, poll } = this.#parts;
    return await progress.until(look, poll, either(stop, signal, "wait"), holds);
  }

  #idle(what: string, paused: boolean): DOMException {
    const why = paused ? "it is paused" : "this process does not run it, and no other moves it";
    return new DOMException(
      `Projection "${this.#parts.name}" does not ${what}: ${why}; ` +
        `call ${paused ? "resume" : "run"}()`,
      "TimeoutError",
    );
  }
}
