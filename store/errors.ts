import type { SaveReceipt } from "./options.ts";

/** Marks errors of this library across copies of it in one program, where `instanceof` fails. */
const BRAND = Symbol.for("@flowmade-one/aether/error");

/** What all errors of this library extend: an `Error` with a `code` to act on. */
export abstract class AetherError extends Error {
  /** The name of the class, the same in every copy of the package. */
  readonly code: AetherErrorCode;

  /** Names the error after its `code` and keeps the `cause` of `options`. */
  constructor(code: AetherErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = code;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Thrown when an event's version is not newer than the actor's latest: somebody was faster. */
export class VersionConflictError extends AetherError {
  /** The actor whose history moved on. */
  readonly actorId: string;
  /** The version that was to be saved. */
  readonly attemptedVersion: number;
  /** The actor's latest version: load from there, decide again, save again. */
  readonly currentVersion: number;

  /** Keeps the actor and both versions; `reason` says more where the plain case does not fit. */
  constructor(
    actorId: string,
    attemptedVersion: number,
    currentVersion: number,
    reason: string = `current version is ${currentVersion}`,
  ) {
    super(
      "VersionConflictError",
      `Cannot save event at version ${attemptedVersion} of "${actorId}": ${reason}`,
    );
    this.actorId = actorId;
    this.attemptedVersion = attemptedVersion;
    this.currentVersion = currentVersion;
  }
}

/** Thrown when an event cannot be stored or published as it is; nothing was sent. */
export class InvalidEventError extends AetherError {
  /** What is wrong, with the place: `data.items[2] is NaN`. */
  readonly reason: string;

  /** Says what is wrong with the event. */
  constructor(reason: string, options?: ErrorOptions) {
    super("InvalidEventError", `Cannot take event: ${reason}`, options);
    this.reason = reason;
  }
}

/** Thrown when an encoded event is larger than the store or the bus takes; nothing was sent. */
export class EventTooLargeError extends AetherError {
  /** Bytes of the encoded event; at least these, where it has too many values to be encoded. */
  readonly size: number;
  /** Bytes that fit. */
  readonly limit: number;

  /** Keeps the size and the limit, both in bytes. */
  constructor(actorId: string, version: number, size: number, limit: number) {
    super(
      "EventTooLargeError",
      `Cannot take event at version ${version} of "${actorId}": it takes ${size} bytes, ` +
        `and ${limit} fit; keep large content elsewhere and put a reference to it in the event`,
    );
    this.size = size;
    this.limit = limit;
  }
}

/** Thrown when a snapshot cannot be stored as it is; nothing was sent. */
export class InvalidSnapshotError extends AetherError {
  /** What is wrong, with the place: `state.total is NaN`. */
  readonly reason: string;

  /** Says what is wrong with the snapshot. */
  constructor(reason: string, options?: ErrorOptions) {
    super("InvalidSnapshotError", `Cannot save snapshot: ${reason}`, options);
    this.reason = reason;
  }
}

/** Thrown when what is stored is not an event, or a piece of an actor's history is missing. */
export class CorruptEventError extends AetherError {
  /** Where in the store: the sequence of the message that cannot be read or does not follow. */
  readonly sequence: number;

  /** Keeps the place; `reason` says what was found there. */
  constructor(sequence: number, reason: string, options?: ErrorOptions) {
    super("CorruptEventError", `Cannot read the event at sequence ${sequence}: ${reason}`, options);
    this.sequence = sequence;
  }
}

/** How a save turned out, as far as can be known: see {@linkcode SaveOutcomeUnknownError}. */
export type SettledOutcome = "saved" | "not-saved" | "unknown";

/**
 * Thrown when the deadline passed before the server told the fate of a save. The events are
 * stored exactly once or not at all; saving the same events again is safe and tells which.
 */
export class SaveOutcomeUnknownError extends AetherError {
  /** The first actor of the save. */
  readonly actorId: string;
  /** The first event's version. */
  readonly version: number;
  readonly #settle: () => Promise<SettledOutcome>;

  /** Keeps what was to be saved; `settle` asks the server for its fate. */
  constructor(
    actorId: string,
    version: number,
    settle: () => Promise<SettledOutcome>,
    options?: ErrorOptions,
  ) {
    super(
      "SaveOutcomeUnknownError",
      `Cannot tell whether the event at version ${version} of "${actorId}" was saved: ` +
        "the server did not answer in time; call settle(), or save the same events again",
      options,
    );
    this.actorId = actorId;
    this.version = version;
    this.#settle = settle;
  }

  /**
   * Asks the server what became of the save: `"saved"`, its events are stored, by it or by a
   * later save of the same ones; `"not-saved"`, they are not, and it will not store them any more;
   * `"unknown"`, it may still land. Rejects with {@linkcode StoreUnavailableError} where
   * the server does not answer.
   */
  settle(): Promise<SettledOutcome> {
    return this.#settle();
  }
}

/** Thrown when the store could not be reached or refused; nothing was saved by this call. */
export class StoreUnavailableError extends AetherError {
  /** Says what could not be done and how things stand. */
  constructor(message: string, options?: ErrorOptions) {
    super("StoreUnavailableError", message, options);
  }
}

/** Thrown when a stream would lose events, or is not one of ours; it is not opened. */
export class StreamConfigError extends AetherError {
  /** The JetStream stream. */
  readonly stream: string;
  /** All that is wrong, one sentence each. */
  readonly problems: readonly string[];

  /** Lists the problems of the stream. */
  constructor(stream: string, problems: readonly string[]) {
    super(
      "StreamConfigError",
      `Cannot open stream "${stream}": ${problems.join("; ")}`,
    );
    this.stream = stream;
    this.problems = problems;
  }
}

/** Thrown when a stream ends before a position that was once acknowledged: its tail was lost. */
export class StreamRegressedError extends AetherError {
  /** The sequence that was seen or acknowledged before. */
  readonly expectedSequence: number;
  /** The sequence that the stream now ends at, for the actor or in all. */
  readonly actualSequence: number;

  /**
   * Keeps both positions; `subject` names what regressed, `reason` says more where the plain
   * case does not fit.
   */
  constructor(
    subject: string,
    expectedSequence: number,
    actualSequence: number,
    reason: string = `it ends at sequence ${actualSequence}, though sequence ` +
      `${expectedSequence} was acknowledged; the stream lost its tail or was restored`,
  ) {
    super("StreamRegressedError", `Cannot go on with ${subject}: ${reason}`);
    this.expectedSequence = expectedSequence;
    this.actualSequence = actualSequence;
  }
}

/** Thrown when the NATS server is too old to keep the promises; nothing was written. */
export class UnsupportedServerError extends AetherError {
  /** The server's version. */
  readonly version: string;
  /** The oldest version that will do. */
  readonly required: string;

  /** Keeps both versions. */
  constructor(version: string, required: string) {
    super(
      "UnsupportedServerError",
      `Cannot use nats-server ${version}: ${required} or newer is needed, ` +
        "for older ones ignore the checks that keep events safe",
    );
    this.version = version;
    this.required = required;
  }
}

/** Thrown when an event was saved by newer code, with a schema that this code does not know. */
export class UnknownSchemaError extends AetherError {
  /** Where the event stands in the store. */
  readonly sequence: number;
  /** The event's type. */
  readonly eventType: string;
  /** The schema that it was saved with. */
  readonly schema: number;
  /** The newest schema that is known here. */
  readonly known: number;

  /** Keeps the place and both schemas. */
  constructor(sequence: number, eventType: string, schema: number, known: number) {
    super(
      "UnknownSchemaError",
      `Cannot read the event at sequence ${sequence}: "${eventType}" has schema ${schema}, and ` +
        `${known} is the newest that is known here; deploy the upcasters of the newer code`,
    );
    this.sequence = sequence;
    this.eventType = eventType;
    this.schema = schema;
    this.known = known;
  }
}

/**
 * Thrown by a subscription with the overflow policy `"error"` whose queue was full: events after
 * the last one that it yielded are missing. Load what was missed from the store, then subscribe again.
 */
export class SubscriptionOverflowError extends AetherError {
  /** The pattern that was subscribed to. */
  readonly pattern: string;
  /** How many events were waiting. */
  readonly capacity: number;

  /** Keeps the pattern and the capacity. */
  constructor(pattern: string, capacity: number) {
    super(
      "SubscriptionOverflowError",
      `Cannot go on with the subscription to ${JSON.stringify(pattern)}: ` +
        `${capacity} events were waiting, and one more came`,
    );
    this.pattern = pattern;
    this.capacity = capacity;
  }
}

/** What the fence of a shard says: who claimed it last, and whether it was given up since. */
export interface FenceHolder {
  /** The node that wrote the fence. */
  readonly nodeId: string;
  /** Which life of the node. */
  readonly incarnation: string;
  /** The version of the shard map that it went by. */
  readonly mapVersion: number;
  /** Whether the node owns the shard, or has given it up. */
  readonly state: "claimed" | "released";
  /** Position of this fence in the store: what is stored behind it is its holder's. */
  readonly sequence: number;
}

/** What a {@linkcode FencedError} is about. */
export interface FenceFacts {
  /** The shard. */
  readonly shard: number;
  /** The node that was refused. */
  readonly nodeId: string;
  /** The actor that was to be written, where there is one. */
  readonly actorId?: string | undefined;
  /** What the shard's fence says, where it was read. */
  readonly holder?: FenceHolder | undefined;
}

/**
 * Thrown when a node that does not own a shard, or not any more, writes to it or claims it;
 * nothing was saved. A node that was deposed owns the shard again only by a claim under a newer
 * shard map.
 */
export class FencedError extends AetherError {
  /** The shard: all of its actors move together. */
  readonly shard: number;
  /** The node that was refused. */
  readonly nodeId: string;
  /** The actor that was to be written; `undefined` where it was about the shard as a whole. */
  readonly actorId: string | undefined;
  /** Who has the shard by its fence: send commands there; `undefined` where it was not read. */
  readonly holder: FenceHolder | undefined;

  /** Keeps the facts; `what` could not be done, and `reason` says more where the plain case does not fit. */
  constructor(what: string, facts: FenceFacts, reason: string = fenceReason(facts)) {
    super("FencedError", `Cannot ${what}: ${reason}`);
    this.shard = facts.shard;
    this.nodeId = facts.nodeId;
    this.actorId = facts.actorId;
    this.holder = facts.holder;
  }
}

function fenceReason({ shard, nodeId, holder }: FenceFacts): string {
  if (holder === undefined) {
    return `node "${nodeId}" does not own shard ${shard}; send the command to the shard's owner`;
  }
  const does = holder.state === "claimed" ? "has claimed" : "has released";
  return `node "${holder.nodeId}" ${does} shard ${shard} under map ${holder.mapVersion}; ` +
    `node "${nodeId}" may claim it under a newer one`;
}

/** How a lease came to its end: see {@linkcode LeaseLostError}. */
export type LeaseEnd = "expired" | "deposed" | "resigned";

/**
 * Thrown by a lease that is over, and the reason of its signal: stop acting as the leader. What
 * was begun under the lease may go on beside a new leader's work, so stores are to be guarded by
 * fences or versions, not by this error alone.
 */
export class LeaseLostError extends AetherError {
  /** The node that had the lease. */
  readonly nodeId: string;
  /** The term that is over; the next one is greater. */
  readonly term: number;
  /**
   * `"expired"`: no renewal was acknowledged in time, whoever may be the leader now;
   * `"deposed"`: the server has said that the lease is gone or somebody else's;
   * `"resigned"`: it was given up here.
   */
  readonly reason: LeaseEnd;

  /** Keeps whose lease it was, and why it is over. */
  constructor(nodeId: string, term: number, reason: LeaseEnd, options?: ErrorOptions) {
    super(
      "LeaseLostError",
      `Cannot lead as "${nodeId}" in term ${term}: ${LEASE_ENDS[reason]}; campaign again`,
      options,
    );
    this.nodeId = nodeId;
    this.term = term;
    this.reason = reason;
  }
}

const LEASE_ENDS: Readonly<Record<LeaseEnd, string>> = {
  expired: "no renewal of the lease was acknowledged in time",
  deposed: "the lease is gone, or somebody else's",
  resigned: "the lease was given up",
};

/**
 * Thrown when a command comes again that was handled before: its events are stored, and it is
 * not run a second time.
 */
export class CommandAlreadyHandledError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** Where the command's last event is stored. */
  readonly receipt: SaveReceipt;

  /** Keeps the command's id and what its save gave back. */
  constructor(commandId: string, receipt: SaveReceipt) {
    super(
      "CommandAlreadyHandledError",
      `Cannot run command "${commandId}" again: its events are stored up to sequence ` +
        `${receipt.sequence}; read them, or answer repeated commands from them`,
    );
    this.commandId = commandId;
    this.receipt = receipt;
  }
}

/** What a {@linkcode CommandFailedError} says of the error that a handler threw. */
export interface CommandFailure {
  /** The name of its class. */
  readonly name: string;
  /** What it says. */
  readonly message: string;
  /** Its code, where it has one: the class's name for errors of this library. */
  readonly code?: string;
}

/** Thrown to the sender of a command whose handler has thrown: what it threw is in `failure`. */
export class CommandFailedError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** Whose command it is. */
  readonly actorId: string;
  /** The node on which the handler ran. */
  readonly nodeId: string;
  /** What the handler threw. */
  readonly failure: CommandFailure;

  /** Keeps the facts. */
  constructor(commandId: string, actorId: string, nodeId: string, failure: CommandFailure) {
    super(
      "CommandFailedError",
      `Cannot handle command "${commandId}" of "${actorId}": ${failure.message}`,
    );
    this.commandId = commandId;
    this.actorId = actorId;
    this.nodeId = nodeId;
    this.failure = failure;
  }
}

/**
 * Thrown when the time is over, or the signal aborted, and a command that was sent has no
 * answer: it was handled, is being handled, or will never be. Sent again under the same
 * `commandId` its events are there once, and the answer tells.
 */
export class CommandOutcomeUnknownError extends AetherError {
  /** The command's id: send it again with it. */
  readonly commandId: string;
  /** Whose command it is. */
  readonly actorId: string;

  /** Keeps the facts; `options.cause` is what the last try met. */
  constructor(commandId: string, actorId: string, options?: ErrorOptions) {
    super(
      "CommandOutcomeUnknownError",
      `Cannot tell whether command "${commandId}" of "${actorId}" was handled: no answer came in ` +
        "time; send it again under the same commandId",
      options,
    );
    this.commandId = commandId;
    this.actorId = actorId;
  }
}

/**
 * Thrown by a projection whose partition another process has taken over; no effect of this one
 * was saved since. Run a projection in one process only, or give it `leases` to share.
 */
export class CheckpointConflictError extends AetherError {
  /** The projection's name. */
  readonly projection: string;
  /** Which of its partitions. */
  readonly partition: number;

  /** Keeps the place. */
  constructor(projection: string, partition: number) {
    super(
      "CheckpointConflictError",
      `Cannot go on with partition ${partition} of projection "${projection}": another process ` +
        "has taken it over",
    );
    this.projection = projection;
    this.partition = partition;
  }
}

/** Thrown by a projection that halts at an event which its handler cannot handle; see `cause`. */
export class PoisonEventError extends AetherError {
  /** The projection's name. */
  readonly projection: string;
  /** The event's position: it is handled first when the projection runs again. */
  readonly sequence: number;
  /** The event's id. */
  readonly eventId: string;
  /** The event's actor. */
  readonly actorId: string;

  /** Keeps the place; `cause` is what the handler threw at the last of `attempts`. */
  constructor(
    projection: string,
    event: { readonly sequence: number; readonly id: string; readonly actorId: string },
    attempts: number,
    options?: ErrorOptions,
  ) {
    super(
      "PoisonEventError",
      `Cannot go on with projection "${projection}": event "${event.id}" of "${event.actorId}" ` +
        `at sequence ${event.sequence} failed ${attempts} times: ${options?.cause}`,
      options,
    );
    this.projection = projection;
    this.sequence = event.sequence;
    this.eventId = event.id;
    this.actorId = event.actorId;
  }
}

/**
 * Thrown when another process has joined the cluster by the name of this node: a restarted one
 * takes the place of the one before. Give every process a name of its own.
 */
export class NodeReplacedError extends AetherError {
  /** The name that both have. */
  readonly nodeId: string;
  /** The life of the node that is over. */
  readonly incarnation: string;
  /** The one that took its place. */
  readonly replacedBy: string;

  /** Keeps both lives of the node. */
  constructor(nodeId: string, incarnation: string, replacedBy: string) {
    super(
      "NodeReplacedError",
      `Cannot take part as node "${nodeId}": another process has joined by that name since; ` +
        "give every process a name of its own",
    );
    this.nodeId = nodeId;
    this.incarnation = incarnation;
    this.replacedBy = replacedBy;
  }
}

/** Each error's class by its code. */
export interface AetherErrors {
  /** See {@linkcode VersionConflictError}. */
  VersionConflictError: VersionConflictError;
  /** See {@linkcode InvalidEventError}. */
  InvalidEventError: InvalidEventError;
  /** See {@linkcode EventTooLargeError}. */
  EventTooLargeError: EventTooLargeError;
  /** See {@linkcode InvalidSnapshotError}. */
  InvalidSnapshotError: InvalidSnapshotError;
  /** See {@linkcode CorruptEventError}. */
  CorruptEventError: CorruptEventError;
  /** See {@linkcode SaveOutcomeUnknownError}. */
  SaveOutcomeUnknownError: SaveOutcomeUnknownError;
  /** See {@linkcode StoreUnavailableError}. */
  StoreUnavailableError: StoreUnavailableError;
  /** See {@linkcode StreamConfigError}. */
  StreamConfigError: StreamConfigError;
  /** See {@linkcode StreamRegressedError}. */
  StreamRegressedError: StreamRegressedError;
  /** See {@linkcode SubscriptionOverflowError}. */
  SubscriptionOverflowError: SubscriptionOverflowError;
  /** See {@linkcode UnknownSchemaError}. */
  UnknownSchemaError: UnknownSchemaError;
  /** See {@linkcode UnsupportedServerError}. */
  UnsupportedServerError: UnsupportedServerError;
  /** See {@linkcode FencedError}. */
  FencedError: FencedError;
  /** See {@linkcode LeaseLostError}. */
  LeaseLostError: LeaseLostError;
  /** See {@linkcode CommandAlreadyHandledError}. */
  CommandAlreadyHandledError: CommandAlreadyHandledError;
  /** See {@linkcode CommandFailedError}. */
  CommandFailedError: CommandFailedError;
  /** See {@linkcode CommandOutcomeUnknownError}. */
  CommandOutcomeUnknownError: CommandOutcomeUnknownError;
  /** See {@linkcode CheckpointConflictError}. */
  CheckpointConflictError: CheckpointConflictError;
  /** See {@linkcode PoisonEventError}. */
  PoisonEventError: PoisonEventError;
  /** See {@linkcode NodeReplacedError}. */
  NodeReplacedError: NodeReplacedError;
}

/** The codes of this library's errors: the names of their classes. */
export type AetherErrorCode = keyof AetherErrors;

/**
 * Whether `error` is one of this library's, and of the class named by `code` if one is given.
 * Works where two copies of the package meet (JSR's and npm's), which `instanceof` does not.
 *
 * @example Retry on a conflict, pass on the rest
 * ```ts
 * import { isAetherError, VersionConflictError } from "@flowmade-one/aether";
 *
 * try {
 *   throw new VersionConflictError("order-7", 3, 5);
 * } catch (error) {
 *   if (!isAetherError(error, "VersionConflictError")) throw error;
 *   console.log(`load "${error.actorId}" from version ${error.currentVersion}`);
 * }
 * ```
 */
export function isAetherError<Code extends AetherErrorCode = AetherErrorCode>(
  error: unknown,
  code?: Code,
): error is AetherErrors[Code] {
  return typeof error === "object" && error !== null && BRAND in error &&
    (code === undefined || (error as { code?: unknown }).code === code);
}
