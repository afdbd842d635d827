import { encodeToken } from "../../store/base/token.ts";
import { type Ledger, ledger } from "../../store/process/ledger.ts";
import type { EventStore } from "../../store/store.ts";
import { lowerBound } from "./actor_index.ts";
import type { ProjectionRecords } from "./records.ts";
import type { ProcessesView, ProcessView } from "../views/processes.ts";
import type { InspectedProcesses } from "./workers.ts";

/** Histories that are read at once, and that one answer reads at most: most have ended. */
const [PART, MOST_READ] = [50, 500];
/** How long a list of histories is believed, in ms. */
const FRESH = 400;
/** The sign between the name, which has none, and the id in the place of a page. */
const APART = "-";

/** Which processes are wanted. */
export interface ProcessRange {
  readonly name: string | undefined;
  readonly isParked: boolean;
  readonly after: string | undefined;
  readonly limit: number;
}

/** Processes that have not ended, by their histories. */
export class ProcessesLook {
  readonly #store: EventStore;
  /** The histories of each kind, in order, and until when that is believed. */
  readonly #ids = new Map<string, { readonly ids: readonly string[]; readonly until: number }>();
  readonly #records: ProjectionRecords | undefined;
  readonly #managers: ReadonlyMap<string, InspectedProcesses>;
  readonly #hasActions: boolean;

  /** Looks at those of managers of this process, and at those that have checkpoints in NATS. */
  constructor(
    store: EventStore,
    records: ProjectionRecords | undefined,
    managers: readonly InspectedProcesses[],
    hasActions: boolean,
  ) {
    this.#store = store;
    this.#records = records;
    this.#managers = new Map(managers.map((manager) => [manager.name, manager]));
    this.#hasActions = hasActions;
  }

  /** A page of them, in the order of their names and ids. */
  async view({ name: only, isParked, after = "", limit }: ProcessRange): Promise<ProcessesView> {
    const saved = await this.#records?.read();
    const stored = (saved?.names ?? []).flatMap((name) =>
      /^process:([^:]+)$/.exec(name)?.[1] ?? []
    );
    const names = [...new Set([...stored, ...this.#managers.keys()])].sort();
    const [, afterName = "", afterId = ""] = /^([^-]*)-([^]*)$/.exec(after) ?? [];
    const processes: ProcessView[] = [];
    let next: string | undefined;
    let read = 0;
    for (const name of names) {
      if ((only !== undefined && name !== only) || name < afterName) continue;
      let behind = name === afterName ? afterId : "";
      while (next === undefined) {
        const ids = isParked
          ? await this.#parkedBehind(name, behind, saved)
          : await this.#idsBehind(name, behind);
        if (ids.length === 0) break;
        const found = await this.#described(name, ids);
        for (const [at, id] of ids.entries()) {
          const process = found[at];
          behind = id;
          if (process !== undefined && (!isParked || process.parked !== undefined)) {
            processes.push(process);
          }
          if (processes.length === limit || ++read === MOST_READ) {
            next = name + APART + id;
            break;
          }
        }
      }
      if (next !== undefined) break;
    }
    const managers = names.map((name) => {
      const isLocal = this.#managers.has(name);
      const actions = ["retry", "end", "pause", "resume"] as const;
      return { name, isLocal, actions: isLocal && this.#hasActions ? actions : [] };
    });
    const at = new Date().toISOString();
    return { at, managers, processes, ...(next !== undefined && { next }) };
  }

  async #idsBehind(name: string, behind: string): Promise<string[]> {
    let known = this.#ids.get(name);
    if (known === undefined || known.until < performance.now()) {
      const category = `process:${name}`;
      const ids: string[] = [];
      for await (const actorId of this.#store.listActors({ category })) {
        ids.push(actorId.slice(category.length + 1));
      }
      known = { ids: ids.sort(), until: performance.now() + FRESH };
      this.#ids.set(name, known);
    }
    const { ids } = known;
    const begin = lowerBound(ids, behind);
    const first = behind !== "" && ids[begin] === behind ? begin + 1 : begin;
    return ids.slice(first, first + PART);
  }

  async #parkedBehind(
    name: string,
    behind: string,
    saved: Awaited<ReturnType<ProjectionRecords["read"]>> | undefined,
  ): Promise<string[]> {
    const manager = this.#managers.get(name);
    const body = saved?.body(encodeToken(`process:${name}:parked`));
    const all = manager !== undefined
      ? await manager.parked()
      : parkedIn(body, this.#store.identity);
    return all.map(({ id }) => id).sort().filter((id) => id > behind).slice(0, PART);
  }

  /** The waits of each; `undefined` for those that have ended. */
  async #described(
    name: string,
    ids: readonly string[],
  ): Promise<readonly (ProcessView | undefined)[]> {
    const actorOf = (id: string) => `process:${name}-${id}`;
    const histories = await this.#store.getEventsOf(ids.map(actorOf));
    return ids.map((id) => {
      const actorId = actorOf(id);
      const events = histories.get(actorId) ?? [];
      const state = events.reduce(ledger.evolve, ledger.initialState());
      const version = events.at(-1)?.version ?? 0;
      return version === 0 || state.ended !== undefined
        ? undefined
        : { name, id, actorId, version, ...waitsOf(state) };
    });
  }
}

function waitsOf({ open, effects, deadlines, parked }: Ledger) {
  return {
    commands: [...open.values()].map(({ id, actorId, since }) => ({
      ...{ id, actorId, since: since.toISOString() },
    })),
    effects: [...effects.values()].map(({ id, name, started, since }) => ({
      ...{ id, name, started, since: since.toISOString() },
    })),
    deadlines: [...deadlines.values()]
      .sort((one, other) => one.at.getTime() - other.at.getTime())
      .map(({ name, at }) => ({ name, at: at.toISOString() })),
    ...(parked && { parked: { ...parked, since: parked.since.toISOString() } }),
  };
}

/** The ids in a list of parked processes, if it is about this store. */
function parkedIn(body: string | undefined, identity: string): readonly { readonly id: string }[] {
  try {
    const list = JSON.parse(body ?? "{}");
    return list.identity === identity && Array.isArray(list.parked) ? list.parked : [];
  } catch {
    return []; // Damaged: it is made up from the histories.
  }
}
