/**
 * A rule of the storage format that {@linkcode verify} checks.
 *
 * - `"genesis"`: the first message says what the stream is, and no other does.
 * - `"foreign-message"`: each message has a subject and headers that this library writes, and an
 *   actor's messages are on its own subject, saved by compare-and-set.
 * - `"headers"`: the lists in the headers of a message add up.
 * - `"body-size"`: the sizes of a message's bodies add up to its body.
 * - `"version-order"`: versions of an actor grow.
 * - `"broken-chain"`: each message of an actor follows on the one that it says it follows on.
 * - `"unreadable-event"`: each event can be read, by the codec and upcasters of the store.
 * - `"body-mismatch"`: the body of an event says what its headers say.
 * - `"duplicate-id"`: no two events of an actor have one id.
 * - `"torn-commit"`: a commit over several messages is stored as a whole, with nothing in between.
 * - `"receipt"`: the outcome of a command without events names the command and the actor's version.
 * - `"hole"`: no message is missing.
 * - `"fence"`: an event names the newest fence of its shard, which is claimed; maps never go back.
 * - `"snapshot"`: a snapshot is what its events make up.
 * - `"checkpoint"`: a projection's checkpoint is about an event of this store.
 */
export type VerifyRule =
  | "genesis"
  | "foreign-message"
  | "headers"
  | "body-size"
  | "version-order"
  | "broken-chain"
  | "unreadable-event"
  | "body-mismatch"
  | "duplicate-id"
  | "torn-commit"
  | "receipt"
  | "hole"
  | "fence"
  | "snapshot"
  | "checkpoint";

/** One break of a rule. */
export interface VerifyProblem {
  /** The rule that is broken. */
  readonly rule: VerifyRule;
  /** Position of the event or message; of a missing one, the place where it was. */
  readonly sequence: number;
  /** The server's sequence of the message: what `nats stream get` takes. */
  readonly streamSequence: number;
  /** The actor that it is about, if it is about one. */
  readonly actorId?: string;
  /** The problem, with the facts. */
  readonly message: string;
  /** The next step to take. */
  readonly advice: string;
}

/** How far a verification has come. */
export interface VerifyProgress {
  /** Events that were checked. */
  readonly events: number;
  /** Messages that were checked, those without events too. */
  readonly messages: number;
  /** Position of the last message that was checked. */
  readonly position: number;
  /** Position of the last message that is to be checked. */
  readonly end: number;
  /** Where a later verification can go on: pass it as `from`. */
  readonly next: number;
  /** Events checked in a second, on average. */
  readonly rate: number;
  /** Problems found. */
  readonly problemCount: number;
}

/** The outcome of a verification. */
export interface VerifyReport {
  /** Whether no rule was broken. */
  readonly ok: boolean;
  /** The identity of the store. */
  readonly identity: string;
  /** Events that were checked. */
  readonly events: number;
  /** Messages that were checked, those without events too. */
  readonly messages: number;
  /** Those of them that hold the outcome of a command without events. */
  readonly receipts: number;
  /** Actors whose first event was among those that were checked; exact, however many there are. */
  readonly actors: number;
  /** Snapshots that were compared with a replay. */
  readonly snapshots: number;
  /** The problems in the order of the store, as many as `limit` allows. */
  readonly problems: readonly VerifyProblem[];
  /** How many problems there are, those that were not kept too. */
  readonly problemCount: number;
  /** Where a later verification can go on: pass it as `from`. */
  readonly next: number;
  /** Whether the end was reached, as it was at the beginning; `false` if `maxMessages` came first. */
  readonly done: boolean;
}
