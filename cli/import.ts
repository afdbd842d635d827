import { type Codec, type Event, type EventStore, isAetherError } from "../store/mod.ts";
import { tokenProblem } from "../store/base/token.ts";
import { messageOf } from "../store/base/text.ts";
import { type SaveChecks, saveChecksOf } from "../store/save_check.ts";
import { type Commit, commitsOf, ImportError } from "./commits.ts";

export { ImportError };

/** Commits that are looked at together, and may be under way at once: enough to keep the server busy. */
const WINDOW = 256;
/** Events of one actor that one message surely holds, unless they are large. */
const SHORT = 32;
/** Events of one actor that are looked up to find out whether they are there already. */
const LOOK = 1_000;
/** Errors that say nothing about the events. */
const PASSING = ["StoreUnavailableError", "SaveOutcomeUnknownError"] as const;

/** Options for {@linkcode importEvents}. */
export interface ImportOptions {
  /** Checks all that can be checked, and saves nothing. @default {false} */
  readonly dryRun?: boolean;
  /**
   * Makes other events of each, at once: one, several, or none (`undefined` or `[]`). Versions are
   * counted anew for each actor then, and the second event and those behind it get ids of their own.
   */
  readonly transform?: (event: Event) => unknown;
  /** The codec of the events whose data JSON cannot carry. */
  readonly codec?: Codec<Event>;
  /** Ends the import between two saves. */
  readonly signal?: AbortSignal;
  /** Told how many events are done. */
  readonly onProgress?: (done: number) => void;
}

/** What an import has done. */
export interface ImportResult {
  /** Events that were saved; with `dryRun`, that would be. */
  readonly saved: number;
  /** Events that were there already, with the same id at the same version. */
  readonly present: number;
  /** Events that are forgotten as a whole, and are passed over; forgotten fields of others are left out. */
  readonly forgotten: number;
  /** Commits that the server stored before an earlier one, as it had answered late: the store's order differs there. */
  readonly moved: number;
}

/**
 * Saves the events of exported lines with their ids, times, versions and order; those in a row with the
 * same commit together. Events that are there already are passed over, so that it can be run again
 * after it was ended.
 *
 * @throws {ImportError} A line holds no event, or its actor has another event at that version, or the
 * store refuses it. The commits before it are saved, and nothing behind it is, unless another program
 * saves events of these actors meanwhile.
 * @throws {StoreUnavailableError} The server does not answer, or a codec has to wait: run it again.
 * @throws {SaveOutcomeUnknownError} The server has not answered in time: run it again.
 */
export async function importEvents(
  store: EventStore,
  lines: AsyncIterable<string> | Iterable<string>,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { signal, onProgress, dryRun = false } = options;
  const importer = new Importer(store, dryRun);
  let window: Commit[] = [];
  const flush = async () => {
    const commits = window;
    window = [];
    await importer.take(commits);
    const { saved, present, forgotten } = importer.result;
    onProgress?.(saved + present + forgotten);
  };
  try {
    for await (const commit of commitsOf(lines, options)) {
      signal?.throwIfAborted();
      window.push(commit);
      if (window.length >= WINDOW) await flush();
    }
  } catch (error) {
    if (error instanceof ImportError) await flush();
    throw error;
  }
  await flush();
  return importer.result;
}

/** Saves commits in their order, and counts them. */
class Importer {
  readonly #store: EventStore;
  readonly #dryRun: boolean;
  readonly #checks: SaveChecks | undefined;
  /** The versions that actors have behind the commits so far. */
  readonly #versions = new Map<string, number>();
  readonly #counts = { saved: 0, present: 0, forgotten: 0, moved: 0 };
  #last = 0;

  constructor(store: EventStore, dryRun: boolean) {
    this.#store = store;
    this.#dryRun = dryRun;
    this.#checks = saveChecksOf(store);
  }

  get result(): ImportResult {
    return { ...this.#counts };
  }

  /**
   * Saves what is not there already.
   *
   * @throws {ImportError} A commit cannot be saved; those before it are.
   */
  async take(commits: readonly Commit[]): Promise<void> {
    await this.#lookUp(commits);
    const fresh: Commit[] = [];
    let problem: unknown;
    for (const commit of commits) {
      this.#counts.forgotten += commit.forgotten;
      try {
        if (await this.#isFresh(commit)) fresh.push(commit);
      } catch (error) {
        problem = error;
        break;
      }
    }
    for (const together of this.#dryRun ? [] : this.#inOrder(fresh)) await this.#save(together);
    if (this.#dryRun) { for (const { events } of fresh) this.#counts.saved += events.length; }
    if (problem !== undefined) throw problem;
  }

  /** Asks for the versions of the actors that are not known. */
  async #lookUp(commits: readonly Commit[]): Promise<void> {
    const unknown = new Set<string>();
    for (const { events } of commits) {
      for (const { actorId } of events) if (!this.#versions.has(actorId)) unknown.add(actorId);
    }
    // One with an id that no actor can have is refused when its turn comes.
    for (const actorId of unknown) if (tokenProblem(actorId) !== undefined) unknown.delete(actorId);
    if (unknown.size === 0) return;
    for (const [actorId, version] of await this.#store.getLatestVersions([...unknown])) {
      this.#versions.set(actorId, version);
    }
  }

  /** Whether a commit is to be saved, and may be; false if it is there. */
  async #isFresh({ line, events }: Commit): Promise<boolean> {
    if (events.length === 0) return false;
    const there = events.filter(({ actorId, version }) => version <= this.#versions.get(actorId)!);
    for (const event of there) await holdPresent(this.#store, event, line);
    if (there.length === 0) {
      try {
        this.#checks?.check(events);
      } catch (cause) {
        throw refused(line, cause);
      }
      return true;
    }
    if (there.length < events.length) {
      throw new ImportError(line, "a part of its commit is stored, and a part is not");
    }
    this.#counts.present += there.length;
    return false;
  }

  /**
   * Commits that may be under way together and are stored in their order: each is one message, and no
   * later one of an actor has to wait while others go ahead. A codec may take its time.
   */
  #inOrder(commits: readonly Commit[]): Commit[][] {
    const parts: Commit[][] = [];
    const isPlain = this.#checks?.hasCodec === false;
    /** Those of the last part. */
    let actors = new Set<string>();
    for (const commit of commits) {
      const [{ actorId }] = commit.events as [Event];
      const isShort = isPlain && commit.events.length <= SHORT &&
        commit.events.every((event) => event.actorId === actorId);
      const part = parts.at(-1);
      // All of them are of different actors, or all of the same one.
      const isNext = actors.has(actorId) ? actors.size === 1 : actors.size === part?.length;
      if (isShort && isNext) part!.push(commit);
      else {
        parts.push([commit]);
        actors = new Set();
      }
      if (isShort) actors.add(actorId);
    }
    return parts;
  }

  /** Saves commits together; one of which an actor's earlier one failed is refused, too. */
  async #save(commits: readonly Commit[]): Promise<void> {
    const saves = commits.map(({ events }) => {
      const actors = new Set(events.map(({ actorId }) => actorId));
      const expect = [...actors].map((actorId) => ({
        actorId,
        version: this.#versions.get(actorId)!,
      }));
      for (const { actorId, version } of events) this.#versions.set(actorId, version);
      return this.#store.saveEvents(events, { expect });
    });
    for (const [at, save] of (await Promise.allSettled(saves)).entries()) {
      const { line, events } = commits[at]!;
      if (save.status === "rejected") throw refused(line, save.reason);
      const { duplicate, sequence } = save.value;
      this.#counts[duplicate ? "present" : "saved"] += events.length;
      if (sequence < this.#last) this.#counts.moved++;
      else this.#last = sequence;
    }
  }
}

/** The error of a commit that the store refuses; what may pass is no error of the line. */
function refused(line: number, cause: unknown): unknown {
  if (PASSING.some((name) => isAetherError(cause, name))) return cause;
  return new ImportError(line, messageOf(cause), { cause });
}

/** Passes if the store has this very event. */
async function holdPresent(store: EventStore, event: Event, line: number): Promise<void> {
  const { actorId, version, id } = event;
  let found: Event | undefined;
  for await (
    const stored of store.readEvents(actorId, { fromVersion: version, limit: LOOK })
  ) {
    found = stored;
    break;
  }
  if (found?.version === version && found.id === id) return;
  throw new ImportError(
    line,
    `"${actorId}" has another event at version ${version} already; import into another namespace`,
  );
}
