import { freshCopy } from "../base/fresh.ts";
import { callHook, print, refusePromise } from "../base/hook.ts";
import { versionProblem } from "../check/events.ts";
import { type ActorState, advance, initial } from "./actor_state.ts";
import type { Evolution } from "./decider.ts";
import type { Event } from "../event.ts";
import { snapshotEvery, type SnapshotPolicy } from "../snapshot/policy.ts";
import type { SnapshotStore } from "../snapshot/snapshot.ts";
import type { EventStore } from "../store.ts";

/** Options of {@linkcode rehydrate} and `execute`: where snapshots are kept, and when one is taken. */
export interface SnapshotOptions {
  /** The store that keeps them. */
  readonly store: SnapshotStore;
  /** The shape of the state; raise it with each change to ignore older snapshots. */
  readonly schemaVersion: number;
  /**
   * `execute` takes one at each multiple of this many versions, or when your policy returns true;
   * `rehydrate` takes none.
   *
   * @default {100}
   */
  readonly every?: number | SnapshotPolicy;
  /**
   * Called when a snapshot could not be read or taken. That never fails a load or a command: the
   * events are the truth, and the library replays them instead.
   *
   * @default {console.warn}
   */
  readonly onError?: (error: unknown, actorId: string) => void;
}

/** Options for {@linkcode rehydrate}. */
export interface RehydrateOptions {
  /** Begins at the latest snapshot rather than at the first event. @default {undefined} */
  readonly snapshots?: SnapshotOptions;
  /** Ends the load by throwing the signal's reason. @default {undefined} */
  readonly signal?: AbortSignal;
}

/** The result of {@linkcode rehydrate}. */
export interface RehydrateResult<State> {
  /** The state that the events make up. */
  readonly state: State;
  /** The version of the last event in it; 0 for an actor without events. */
  readonly version: number;
}

/**
 * The current state of an actor: its latest snapshot, if there is one of the schema asked for,
 * and the events after it, folded one by one. A snapshot that is missing or cannot be read
 * makes the load longer, never wrong.
 *
 * @param store The store that holds the events.
 * @param actorId The actor; an unknown one has its initial state and version 0.
 * @param evolution How events make up the state; a `Decider` is one.
 * @throws {StreamRegressedError} The snapshot's last event is not stored any more.
 * @throws {CorruptEventError} A stored event cannot be read, or a piece is missing.
 * @throws Any error that `evolve` throws, untouched.
 *
 * @example The balance of an account
 * ```ts
 * import { appendEvents, type Event, InMemoryEventStore, rehydrate } from "@flowmade-one/aether";
 *
 * type Deposited = Event<"Deposited", { amount: number }>;
 *
 * await using store = new InMemoryEventStore();
 * await appendEvents<Deposited>(store, "account-1", 0, [
 *   { eventType: "Deposited", data: { amount: 5 } },
 *   { eventType: "Deposited", data: { amount: 7 } },
 * ]);
 * const { state, version } = await rehydrate(store, "account-1", {
 *   initialState: () => 0,
 *   evolve: (balance: number, event: Deposited) => balance + event.data.amount,
 * });
 * console.log(state, version); // 12 2
 * ```
 */
export async function rehydrate<State, E extends Event = Event>(
  store: EventStore,
  actorId: string,
  evolution: Evolution<State, E>,
  options: RehydrateOptions = {},
): Promise<RehydrateResult<State>> {
  const { snapshots, signal } = options;
  const { state, version } = await load(store, actorId, evolution, snapshots, signal);
  // A copy, for `evolve` may give the same object for many actors.
  return { state: freshCopy(state), version };
}

/** Loads like {@linkcode rehydrate}, and returns a state from which the next load or save goes on. */
export async function load<State, E extends Event>(
  store: EventStore,
  actorId: string,
  evolution: Evolution<State, E>,
  snapshots: SnapshotOptions | undefined,
  signal?: AbortSignal,
): Promise<ActorState<State, E>> {
  signal?.throwIfAborted();
  const begin = snapshots && await fromSnapshot(actorId, evolution, snapshots);
  return await advance(store, actorId, begin ?? initial(evolution), signal);
}

/** Saves a snapshot of an actor that was at version `before`, if one is due. */
export async function takeSnapshot(
  actorId: string,
  before: number,
  { state, version, lastId }: RehydrateResult<unknown> & { readonly lastId: string | undefined },
  options: SnapshotOptions,
): Promise<void> {
  const { store, schemaVersion } = options;
  try {
    const due: unknown = policyOf(options)(before, version);
    refusePromise(due, "the policy for snapshots");
    if (!due) return;
    await store.saveSnapshot({
      actorId,
      version,
      ...(lastId !== undefined && { lastEventId: lastId }),
      schemaVersion,
      state: freshCopy(state),
      timestamp: new Date(),
    });
  } catch (error) {
    report(options, error, actorId);
  }
}

/**
 * The policy that decides when snapshots are due.
 *
 * @throws {RangeError} `every` is a number out of its range.
 */
export function policyOf({ every = 100 }: SnapshotOptions): SnapshotPolicy {
  return typeof every === "number" ? snapshotEvery(every) : every;
}

async function fromSnapshot<State, E extends Event>(
  actorId: string,
  evolution: Evolution<State, E>,
  options: SnapshotOptions,
): Promise<ActorState<State, E> | undefined> {
  const { store, schemaVersion } = options;
  try {
    const snapshot = await store.getLatestSnapshot<State>(actorId, { schemaVersion });
    if (snapshot === undefined) return undefined;
    const { state, version, lastEventId } = snapshot;
    const problem = state === undefined ? "it has no state" : versionProblem(version);
    if (problem !== undefined) throw new TypeError(`Cannot begin at the snapshot: ${problem}`);
    return { evolution, state: freshCopy(state), version, lastId: lastEventId };
  } catch (error) {
    report(options, error, actorId);
    return undefined;
  }
}

function report(
  { onError = warnOfSnapshots }: SnapshotOptions,
  error: unknown,
  actorId: string,
): void {
  callHook(`onError of snapshots of "${actorId}"`, () => onError(error, actorId));
}

function warnOfSnapshots(error: unknown, actorId: string): void {
  print("warn", `Cannot use snapshots of "${actorId}":`, error);
}
