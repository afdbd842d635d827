import { unlessAborted } from "../../store/base/abort.ts";

/**
 * Work of a node while it has a role; `signal` is aborted when it loses the role. A node that leaves
 * waits 2 s for its work to end.
 */
export type RoleWork = (signal: AbortSignal) => void | Promise<void>;

interface RoleJob {
  readonly work: RoleWork;
  ends: AbortController | undefined;
  /** Settles when earlier runs have ended. */
  done: Promise<void>;
}

/**
 * A role that comes and goes, and the work done while this node has it: one run of each work at a
 * time.
 */
export class Role {
  readonly #jobs = new Set<RoleJob>();
  readonly #report: (error: unknown) => void;
  #active = false;

  /** Begins without the role; `report` gets the errors that works throw. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Whether this node has the role. */
  get active(): boolean {
    return this.#active;
  }

  /** Gives the role, or takes it away. */
  set(active: boolean): void {
    if (active === this.#active) return;
    this.#active = active;
    for (const job of this.#jobs) {
      if (active) this.#begin(job);
      else job.ends?.abort();
    }
  }

  /**
   * Runs `work` whenever this node has the role, now too; returns a function that unregisters it.
   */
  add(work: RoleWork): () => void {
    const job: RoleJob = { work, ends: undefined, done: Promise.resolve() };
    this.#jobs.add(job);
    if (this.#active) this.#begin(job);
    return () => {
      job.ends?.abort();
      this.#jobs.delete(job);
    };
  }

  /** Takes the role away, and resolves when all work has ended, after `timeout` ms at the latest. */
  async close(timeout: number): Promise<void> {
    this.set(false);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    const ended = Promise.all([...this.#jobs].map(({ done }) => done));
    await unlessAborted(late.signal, ended).catch(() => {}); // Work that goes on is the user's.
    clearTimeout(timer);
  }

  #begin(job: RoleJob): void {
    const { signal } = job.ends = new AbortController();
    const before = job.done;
    job.done = (async () => {
      await before;
      if (signal.aborted) return;
      try {
        await job.work(signal);
      } catch (error) {
        if (!signal.aborted) this.#report(error);
      }
    })();
  }
}
