import { isAetherError } from "../../store/errors.ts";
import { sleep } from "../../store/base/sleep.ts";
import type { Query } from "../http/query.ts";
import { Refusal } from "../http/refusal.ts";
import type { ActionView } from "../views/act.ts";
import type { ProjectionAction } from "../views/projections.ts";
import type { InspectedProcesses, Worker } from "./workers.ts";

/** How long an answer waits for what was asked for, in ms. */
const PATIENCE = 10_000;
/** How long to look whether a rebuild has begun, in ms, and how often. */
const [BEGINS, LOOK] = [5_000, 20];

/** Does what operators ask for, on objects of this process. */
export class Actions {
  readonly #workers: ReadonlyMap<string, Worker>;
  readonly #managers: ReadonlyMap<string, InspectedProcesses>;

  /** Acts on these. */
  constructor(workers: readonly Worker[], managers: readonly InspectedProcesses[]) {
    this.#workers = new Map(workers.map((worker) => [worker.name, worker]));
    this.#managers = new Map(managers.map((manager) => [manager.name, manager]));
  }

  /**
   * Does what a body asks for.
   *
   * @throws {Refusal} The body is wrong, or this process cannot do it.
   */
  async run(query: Query, client: AbortSignal): Promise<ActionView> {
    const on = query.word("on", ["projection", "process"]);
    const name = query.needed("name");
    const late = AbortSignal.timeout(PATIENCE);
    const signal = AbortSignal.any([client, late]);
    try {
      return on === "projection"
        ? await this.#onProjection(name, query, signal)
        : await this.#onProcess(name, query, signal);
    } catch (error) {
      if (error instanceof RangeError) throw new Refusal(409, error.message);
      if (!late.aborted) throw error;
      throw new Refusal(
        504,
        `Nobody has done it within ${PATIENCE} ms: see that "${name}" runs and is not paused`,
      );
    }
  }

  async #onProjection(name: string, query: Query, signal: AbortSignal): Promise<ActionView> {
    const words = ["pause", "resume", "unpark", "skip", "rebuild"] as const;
    const action: ProjectionAction = query.word("action", words);
    const worker = this.#workers.get(name);
    if (worker === undefined) throw notHere("projection", name);
    const { target } = worker;
    if (!worker.actions.includes(action)) throw cannot(action, name);
    switch (action) {
      case "pause":
        await within(signal, target.pause!());
        return done(`"${name}" is paused, in all processes`);
      case "resume":
        await within(signal, target.resume!());
        return done(`"${name}" goes on, in all processes`);
      case "unpark":
        return tried(await target.unpark!(query.id("actorId"), { signal }));
      case "skip": {
        const sequence = query.number("sequence", undefined, 1);
        if (sequence === undefined) {
          throw new Refusal(400, 'Cannot skip: "sequence" of the body is missing');
        }
        await within(signal, target.skip!(sequence));
        return done(`"${name}" passes over the message at ${sequence}`);
      }
      case "rebuild":
        return await rebuild(name, target);
    }
  }

  async #onProcess(name: string, query: Query, signal: AbortSignal): Promise<ActionView> {
    const action = query.word("action", ["pause", "resume", "retry", "end"]);
    const manager = this.#managers.get(name);
    if (manager === undefined) throw notHere("process manager", name);
    switch (action) {
      case "pause":
        await within(signal, manager.pause());
        return done(`Processes of "${name}" are paused, in all programs`);
      case "resume":
        await within(signal, manager.resume());
        return done(`Processes of "${name}" go on, in all programs`);
      case "retry":
        return tried(await manager.retry(query.id("id"), { signal }));
      case "end": {
        const id = query.id("id");
        const { version } = await manager.describe(id);
        if (version === 0) throw new Refusal(404, "There is no such process");
        const reason = query.text("reason");
        await within(signal, manager.end(id, reason === undefined ? {} : { reason }));
        return done("The process has ended; commands that it had issued still go out");
      }
    }
  }
}

function done(message: string): ActionView {
  return { outcome: "done", message };
}

function tried(isOver: boolean): ActionView {
  return isOver
    ? done("All that waited was handled")
    : { outcome: "again", message: "An event has failed again, and still waits" };
}

/** Begins a rebuild, which goes on by itself. */
async function rebuild(name: string, target: Worker["target"]): Promise<ActionView> {
  const { rebuilding } = await target.status!();
  if (rebuilding !== undefined) {
    throw new Refusal(409, `Version ${rebuilding} of "${name}" is being built already`);
  }
  let end: { readonly error?: unknown } | undefined;
  target.rebuild!().then(() => end = {}, (error: unknown) => end = { error });
  for (const begun = performance.now(); performance.now() - begun < BEGINS;) {
    if (end !== undefined && "error" in end) {
      // It was given up, which the view shows with the reason.
      if (isAetherError(end.error, "RebuildFailedError")) break;
      if (end.error instanceof TypeError) throw new Refusal(409, end.error.message);
      throw end.error;
    }
    if (end !== undefined) return done(`"${name}" is rebuilt`);
    if ((await target.status!()).rebuilding !== undefined) break;
    await sleep(LOOK);
  }
  return {
    outcome: "begun",
    message: `A new version of "${name}" is built beside the one that runs`,
  };
}

/** Waits for work that knows no signal; the work goes on. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
    work.catch(() => {}); // Nobody may be left to hear of it.
  }
}

function notHere(what: string, name: string): Refusal {
  return new Refusal(
    404,
    `This process has no ${what} "${name}": pass its object to inspector(), or ask a process that has`,
  );
}

function cannot(action: string, name: string): Refusal {
  return new Refusal(400, `Cannot ${action} "${name}": it has no such action`);
}
