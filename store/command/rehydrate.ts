import {
  asGiven,
  needDecider,
  needFunction,
  needMethods,
  needObject,
  needOptionalFunctions,
  needSignal,
  needString,
} from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { unlessAborted } from "../base/abort.ts";
import { freshCopy } from "../base/fresh.ts";
import { callHook, print, refusePromise } from "../base/hook.ts";
import { versionProblem } from "../check/events.ts";
import { type ActorState, advance, type AdvanceOptions, initial } from "./actor_state.ts";
import type { Evolution } from "./decider.ts";
import { murmur3 } from "../base/murmur.ts";
import type { Event } from "../event.ts";
import { timestampProblem } from "../format/decode.ts";
import { snapshotEvery, type SnapshotPolicy } from "../snapshot/policy.ts";
import { nameProblem } from "../snapshot/body.ts";
import type { SnapshotStore } from "../snapshot/snapshot.ts";
import { freeName } from "../snapshot/free_names.ts";
import type { EventStore } from "../store.ts";

/** Options of {@linkcode rehydrate} and `execute`: where snapshots are kept, and when one is taken. */
export interface SnapshotOptions {
  /** The store that keeps them. */
  readonly store: SnapshotStore;
  /**
   * Which state of the actor the snapshots are of. Two evolutions of one actor need two names; the
   * same rules in several processes, one. Without a name, the source text of `initialState` and
   * `evolve` makes one: each change of the text then begins without snapshots, and rules whose text
   * names something from around them are refused, because it may be another thing elsewhere.
   *
   * @default {derived from the source text}
   */
  readonly name?: string;
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
  /** The state as it was behind this version. @default {the present one} */
  readonly toVersion?: number;
  /** The state before the first event whose timestamp is later than this. @default {the present one} */
  readonly at?: Date;
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
 * The current state of an actor: its latest snapshot, if there is one of the name and schema,
 * and the events after it, folded one by one. A snapshot that is missing or cannot be read
 * makes the load longer, never wrong.
 *
 * @param store The store that holds the events.
 * @param actorId The actor; an unknown one has its initial state and version 0.
 * @param evolution How events make up the state; a `Decider` is one.
 * @throws {StreamRegressedError} The snapshot's last event is not stored any more.
 * @throws {CorruptEventError} A stored event cannot be read, or a piece is missing.
 * @throws {RangeError} An option of the snapshots is out of its range.
 * @throws {TypeError} The snapshots need a name, because the source text of `evolve` makes none.
 * @throws Any error that `evolve` throws, untouched.
 *
 * @example The balance of an account
 * ```ts
 * import { appendEvents, type Event, InMemoryEventStore, rehydrate } from "@flowmade-one/aether";
 *
 * type Deposited = Event<"Deposited", { amount: number }>;
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
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
  const what = "rehydrate the actor";
  needStore(store, what);
  needString(actorId, what, "actorId, the second argument,");
  needDecider(evolution, what, "evolution, the third argument,", ["initialState", "evolve"]);
  needObject(options, what, "options");
  const { signal, toVersion, at } = options;
  const snapshots = asGiven(options.snapshots);
  needSignal(signal, what);
  checkPast(toVersion, at);
  if (snapshots !== undefined) checkSnapshots(evolution, snapshots);
  const { state, version } = at === undefined
    ? await load(store, actorId, evolution, { snapshots, signal, toVersion })
    : await loadAt(store, actorId, evolution, new Date(at), toVersion, signal);
  // A copy, for `evolve` may give the same object for many actors.
  return { state: freshCopy(state), version };
}

/** Options for {@linkcode load}. */
export interface LoadOptions extends AdvanceOptions {
  readonly snapshots?: SnapshotOptions | undefined;
}

/** Loads like {@linkcode rehydrate}, and returns a state from which the next load or save goes on. */
export async function load<State, E extends Event>(
  store: EventStore,
  actorId: string,
  evolution: Evolution<State, E>,
  { snapshots, ...options }: LoadOptions,
): Promise<ActorState<State, E>> {
  const { signal, toVersion } = options;
  signal?.throwIfAborted();
  const latest = snapshots &&
    await unlessAborted(signal, fromSnapshot(actorId, evolution, snapshots));
  const begin = latest === undefined || latest.version > (toVersion ?? Infinity)
    ? initial(evolution)
    : latest;
  return await advance(store, actorId, begin, options);
}

/** Loads the state at a time: before the first event that is later, in the order of versions. */
async function loadAt<State, E extends Event>(
  store: EventStore,
  actorId: string,
  evolution: Evolution<State, E>,
  at: Date,
  toVersion: number | undefined,
  signal: AbortSignal | undefined,
): Promise<RehydrateResult<State>> {
  let { state, version } = initial(evolution);
  const options = { ...(signal && { signal }), ...(toVersion !== undefined && { toVersion }) };
  for await (const event of store.readEvents<E>(actorId, options)) {
    if (event.timestamp > at) break;
    ({ version } = event);
    state = evolution.evolve(state, event);
    refusePromise(state, "evolve()");
  }
  return { state, version };
}

function checkPast(toVersion: number | undefined, at: Date | undefined): void {
  if (toVersion !== undefined && !(Number.isSafeInteger(toVersion) && toVersion >= 0)) {
    throw new RangeError(
      `Cannot rehydrate: toVersion is ${toVersion}, not a safe integer of 0 or more`,
    );
  }
  const problem = at === undefined ? undefined : timestampProblem(at);
  if (problem !== undefined) throw new TypeError(`Cannot rehydrate: at: ${problem}`);
}

/** Saves a snapshot of an actor that was at version `before`, if one is due. */
export async function takeSnapshot(
  actorId: string,
  before: number,
  { evolution, state, version, lastId }: ActorState,
  options: SnapshotOptions,
): Promise<void> {
  const { store, schemaVersion } = options;
  try {
    const due: unknown = policyOf(options)(before, version);
    refusePromise(due, "the policy for snapshots");
    if (!due) return;
    await store.saveSnapshot({
      actorId,
      name: nameOf(evolution, options),
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
 * Refuses options that cannot be, before anything is read.
 *
 * @throws {RangeError} `every` or `name` is out of its range.
 * @throws {TypeError} There is no name, and no source text that tells the rules from others.
 */
export function checkSnapshots(evolution: Rules, options: SnapshotOptions): void {
  const what = "use snapshots";
  needObject(options, what, "snapshots");
  const methods = ["getLatestSnapshot", "saveSnapshot"] as const;
  needMethods(options.store, methods, what, "snapshots.store", "a snapshot store");
  needOptionalFunctions(options, ["onError"], what);
  policyOf(options);
  const { name } = options;
  const problem = name === undefined ? undefined : nameProblem(name);
  if (problem !== undefined) throw new RangeError(`Cannot use snapshots: ${problem}`);
  if (name === undefined) nameOf(evolution, options); // Throws where there is nothing to make it of.
}

/** The functions that make up a state. */
interface Rules {
  readonly initialState: unknown;
  readonly evolve: unknown;
}

/** Names that were made of source texts, by the rules that these are of. */
const derived = new WeakMap<object, string>();

/**
 * The name of the snapshots of `evolution`: at once, as a snapshot is encoded before it can change.
 */
function nameOf(evolution: Rules, { name }: SnapshotOptions): string {
  if (name !== undefined) return name;
  const known = derived.get(evolution);
  if (known !== undefined) return known;
  const source = sourceOf(evolution);
  const parts = [1, 2, 3, 4].map((part) => murmur3(source, part));
  const made = `source-${parts.map((it) => it.toString(16).padStart(8, "0")).join("")}`;
  derived.set(evolution, made);
  return made;
}

function sourceOf({ initialState, evolve }: Rules): string {
  const texts = [initialState, evolve].map((it) => Function.prototype.toString.call(it));
  if (texts.some((text) => text.endsWith("{ [native code] }"))) {
    throw new TypeError(
      "Cannot use snapshots: `initialState` or `evolve` has no source text that tells it from " +
        "others; give the snapshots a name",
    );
  }
  for (const text of texts) {
    const name = freeName(text);
    if (name === undefined) continue;
    throw new TypeError(
      `Cannot use snapshots: the source text of \`initialState\` or \`evolve\` does not hold all ` +
        `that it does, such as ${
          JSON.stringify(name)
        }, so that it cannot tell the snapshots from ` +
        "those of others; give them a name",
    );
  }
  return texts.join("\n");
}

/**
 * The policy that decides when snapshots are due.
 *
 * @throws {RangeError} `every` is a number out of its range.
 * @throws {TypeError} `every` is neither a number nor a function.
 */
export function policyOf({ every = 100 }: SnapshotOptions): SnapshotPolicy {
  if (typeof every === "number") return snapshotEvery(every);
  needFunction(every, "use snapshots", "every, if it is no number,");
  return every;
}

async function fromSnapshot<State, E extends Event>(
  actorId: string,
  evolution: Evolution<State, E>,
  options: SnapshotOptions,
): Promise<ActorState<State, E> | undefined> {
  const { store, schemaVersion } = options;
  try {
    const name = nameOf(evolution, options);
    const snapshot = await store.getLatestSnapshot<State>(actorId, { name, schemaVersion });
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
