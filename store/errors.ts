import { textOf } from "./base/text.ts";
import type { SaveReceipt } from "./options.ts";

/** Marks errors of this library across copies of it in one program, where `instanceof` fails. */
const BRAND = Symbol.for("@flowmade-one/aether/error");

/** The base of all errors of this library: an `Error` with a `code` to act on. */
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

/** Thrown when an event's version is not newer than the actor's latest: another writer was faster. */
export class VersionConflictError extends AetherError {
  /** The actor whose history moved on. */
  readonly actorId: string;
  /** The version that was to be saved. */
  readonly attemptedVersion: number;
  /** The actor's latest version: load from there, decide again, save again. */
  readonly currentVersion: number;

  /** Keeps the actor and both versions; `reason` replaces the usual one in the message. */
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

/** A problem that the schema of an event type has found in the data of an event. */
export interface EventIssue {
  /** The problem, in the words of the schema's library. */
  readonly message: string;
  /** Its place in the data: the keys on the way there; `[]` for all of it. */
  readonly path: readonly (string | number)[];
}

/** Thrown when an event cannot be stored or published as it is; nothing was sent. */
export class InvalidEventError extends AetherError {
  /** The problem, with its place: `data.items[2] is NaN`. */
  readonly reason: string;
  /** All problems that the schema of its type has found; `[]` if it was not a schema that refused. */
  readonly issues: readonly EventIssue[];

  /** Says what is wrong with the event. */
  constructor(
    reason: string,
    options?: ErrorOptions & { readonly issues?: readonly EventIssue[] },
  ) {
    super("InvalidEventError", `Cannot take event: ${reason}`, options);
    this.reason = reason;
    this.issues = options?.issues ?? [];
  }

  /** The place of the first of them in the data: `["items", 2]`; `undefined` if there is none. */
  get path(): readonly (string | number)[] | undefined {
    return this.issues[0]?.path;
  }
}

/** Thrown when an encoded event is larger than the store or the bus takes; nothing was sent. */
export class EventTooLargeError extends AetherError {
  /** Bytes of the encoded event; a lower bound if it has too many values to be encoded. */
  readonly size: number;
  /** Bytes that fit. */
  readonly limit: number;

  /** Keeps the size and the limit, both in bytes; no limit is under 0. */
  constructor(actorId: string, version: number, size: number, limit: number) {
    const room = Math.max(limit, 0);
    super(
      "EventTooLargeError",
      `Cannot take event at version ${version} of "${actorId}": it takes ${size} bytes, ` +
        `and ${room} fit; keep large content elsewhere and put a reference to it in the event`,
    );
    this.size = size;
    this.limit = room;
  }
}

/** Thrown when a snapshot cannot be stored as it is; nothing was sent. */
export class InvalidSnapshotError extends AetherError {
  /** The problem, with its place: `state.total is NaN`. */
  readonly reason: string;

  /** Says what is wrong with the snapshot. */
  constructor(reason: string, options?: ErrorOptions) {
    super("InvalidSnapshotError", `Cannot save snapshot: ${reason}`, options);
    this.reason = reason;
  }
}

/** The known facts of an event that cannot be read, from the subject and headers of its message. */
export interface UnreadableEvent {
  /** Its actor. */
  readonly actorId: string;
  /** Its version in the actor's history. */
  readonly version?: number;
  /** Its id. */
  readonly id?: string;
  /** Its type. */
  readonly eventType?: string;
}

/** Thrown when a stored message is not an event, or a piece of an actor's history is missing. */
export class CorruptEventError extends AetherError {
  /** Position of what cannot be read or does not follow on the one before. */
  readonly sequence: number;
  /** The known facts of the event; `undefined` for a message that belongs to no actor. */
  readonly event: UnreadableEvent | undefined;

  /** Keeps the sequence; `reason` says what is wrong there; `options.event` is what is known. */
  constructor(
    sequence: number,
    reason: string,
    options?: ErrorOptions & { readonly event?: UnreadableEvent | undefined },
  ) {
    super("CorruptEventError", `Cannot read the event at sequence ${sequence}: ${reason}`, options);
    this.sequence = sequence;
    this.event = options?.event;
  }
}

/** The outcome of a save, as far as it is known: see {@linkcode SaveOutcomeUnknownError}. */
export type SettledOutcome = "saved" | "not-saved" | "unknown";

/**
 * Thrown when the deadline passed before the server reported the outcome of a save. The events
 * are stored exactly once or not at all; saving the same events again is safe and shows which.
 */
export class SaveOutcomeUnknownError extends AetherError {
  /** The first actor of the save. */
  readonly actorId: string;
  /** The first event's version. */
  readonly version: number;
  readonly #settle: () => Promise<SettledOutcome>;

  /** Keeps the first event's place; `settle` asks the server for the outcome. */
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
   * Asks the server for the outcome of the save: `"saved"` if its events are stored, by it or by a
   * later save of the same ones; `"not-saved"` if they are not, and this save cannot store them any
   * more; `"unknown"` if it still can. Rejects with {@linkcode StoreUnavailableError} if the server
   * does not answer.
   */
  settle(): Promise<SettledOutcome> {
    return this.#settle();
  }
}

/**
 * Thrown when the store could not be reached or was busy; this call saved nothing. The same call
 * may succeed later.
 */
export class StoreUnavailableError extends AetherError {
  /** Takes the whole message: what could not be done, and why. */
  constructor(message: string, options?: ErrorOptions) {
    super("StoreUnavailableError", message, options);
  }
}

/**
 * Thrown when the server refuses what was asked, and would refuse it again: a limit is reached or a
 * permission is missing. Nothing was saved. Somebody has to change a setting: see `advice`.
 */
export class StoreRefusedError extends AetherError {
  /** Advice: the way to mend it. */
  readonly advice: string;
  /** The `err_code` of JetStream's answer; `undefined` if it was no answer of JetStream's. */
  readonly serverCode: number | undefined;

  /** Takes the whole message, the part of it that says what can be done, and the server's code. */
  constructor(
    message: string,
    advice: string,
    serverCode: number | undefined,
    options?: ErrorOptions,
  ) {
    super("StoreRefusedError", message, options);
    this.advice = advice;
    this.serverCode = serverCode;
  }
}

/**
 * Thrown when a stream would lose events, or is not one of this library's: it is not opened. No
 * retry helps.
 */
export class StreamConfigError extends AetherError {
  /** The JetStream stream. */
  readonly stream: string;
  /** All problems, one sentence each. */
  readonly problems: readonly string[];

  /** Lists the problems of the stream; `what` could not be done with it. */
  constructor(stream: string, problems: readonly string[], what: string = "open") {
    super(
      "StreamConfigError",
      `Cannot ${what} stream "${stream}": ${problems.join("; ")}`,
    );
    this.stream = stream;
    this.problems = problems;
  }
}

/**
 * Thrown when a stream ends before a position that was once acknowledged, or is another one than was
 * opened: its tail was lost, a backup was restored, or it was made again.
 */
export class StreamRegressedError extends AetherError {
  /** The sequence that was seen or acknowledged before. */
  readonly expectedSequence: number;
  /** The sequence at which the stream now ends, for the actor or in all. */
  readonly actualSequence: number;

  /** Keeps both positions; `subject` names what regressed, `reason` replaces the usual one. */
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

/**
 * Thrown when the NATS server is too old to keep the promises, all of them or those that a save with
 * several guards needs; nothing was written.
 */
export class UnsupportedServerError extends AetherError {
  /** The server's version. */
  readonly version: string;
  /** The oldest version that is supported. */
  readonly required: string;

  /** Keeps both versions; `reason` replaces the usual one in the message. */
  constructor(
    version: string,
    required: string,
    reason: string = "older ones ignore the checks that keep events safe",
  ) {
    super(
      "UnsupportedServerError",
      `Cannot use nats-server ${version}: ${required} or newer is needed, because ${reason}`,
    );
    this.version = version;
    this.required = required;
  }
}

/** Thrown when an event was saved by newer code, with a schema that this code does not know. */
export class UnknownSchemaError extends AetherError {
  /** The event's position in the store. */
  readonly sequence: number;
  /** The event's type. */
  readonly eventType: string;
  /** The schema that it was saved with. */
  readonly schema: number;
  /** The newest schema that is known here. */
  readonly known: number;
  /** The known facts of the event. */
  readonly event: UnreadableEvent | undefined;

  /** Keeps the place and both schemas; `event` is what is known of the event. */
  constructor(
    sequence: number,
    eventType: string,
    schema: number,
    known: number,
    event?: UnreadableEvent,
  ) {
    super(
      "UnknownSchemaError",
      `Cannot read the event at sequence ${sequence}: "${eventType}" has schema ${schema}, and ` +
        `${known} is the newest that is known here; deploy the upcasters of the newer code`,
    );
    this.sequence = sequence;
    this.eventType = eventType;
    this.schema = schema;
    this.known = known;
    this.event = event;
  }
}

/**
 * Thrown by a subscription with the overflow policy `"error"` whose queue was full: events after
 * the last one that it yielded are missing. Load those from the store, then subscribe again.
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

/** The content of a shard's fence: the last node that claimed it, and whether it was released since. */
export interface FenceHolder {
  /** The node that wrote the fence. */
  readonly nodeId: string;
  /** The node's incarnation: one for each time that it joined. */
  readonly incarnation: string;
  /** The version of the shard map that the node went by. */
  readonly mapVersion: number;
  /** Whether the node owns the shard, or has released it. */
  readonly state: "claimed" | "released";
  /** Position of this fence in the store: only its holder's events are stored behind it. */
  readonly sequence: number;
}

/** The facts of a {@linkcode FencedError}. */
export interface FenceFacts {
  /** The shard. */
  readonly shard: number;
  /** The node that was refused. */
  readonly nodeId: string;
  /** The actor that was to be written, if there is one. */
  readonly actorId?: string | undefined;
  /** The content of the shard's fence, if it was read. */
  readonly holder?: FenceHolder | undefined;
}

/**
 * Thrown when a node writes to a shard that it does not own, or no longer owns, or claims it;
 * nothing was saved. A deposed node owns the shard again only by a claim under a newer shard map.
 */
export class FencedError extends AetherError {
  /** The shard: all of its actors move together. */
  readonly shard: number;
  /** The node that was refused. */
  readonly nodeId: string;
  /** The actor that was to be written; `undefined` if it was about the shard as a whole. */
  readonly actorId: string | undefined;
  /** The owner by the shard's fence: send commands there; `undefined` if the fence was not read. */
  readonly holder: FenceHolder | undefined;

  /** Keeps the facts; `what` could not be done; `reason` replaces the usual one in the message. */
  constructor(what: string, facts: FenceFacts, reason: string = fenceReason(facts)) {
    super("FencedError", `Cannot ${what}: ${reason}`);
    this.shard = facts.shard;
    this.nodeId = facts.nodeId;
    this.actorId = facts.actorId;
    // A copy: the store keeps what it was told of the owner.
    this.holder = facts.holder && { ...facts.holder };
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

/** How a lease ended: see {@linkcode LeaseLostError}. */
export type LeaseEnd = "expired" | "deposed" | "resigned";

/**
 * Thrown by a lease that is over, and the reason of its signal: stop acting as the leader. Work
 * begun under the lease may go on beside a new leader's work, so guard stores by fences or
 * versions, not by this error alone.
 */
export class LeaseLostError extends AetherError {
  /** The node that had the lease. */
  readonly nodeId: string;
  /** The term that is over; the next one is greater. */
  readonly term: number;
  /**
   * `"expired"`: the server acknowledged no renewal in time, and another node may lead by now;
   * `"deposed"`: the server reported that the lease was removed, or belongs to another node;
   * `"resigned"`: this node gave it up.
   */
  readonly reason: LeaseEnd;

  /** Keeps the node, the term, and why it is over. */
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
  deposed: "the lease is gone, or belongs to another node",
  resigned: "the node gave the lease up",
};

/**
 * Thrown when a command that was handled before comes again: its events are stored, and it does
 * not run a second time.
 */
export class CommandAlreadyHandledError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** The place where the command's last event is stored. */
  readonly receipt: SaveReceipt;

  /** Keeps the command's id and the receipt of its save. */
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

/** An error that a handler threw, as {@linkcode CommandFailedError} carries it. */
export interface CommandFailure {
  /** The name of its class. */
  readonly name: string;
  /** Its message. */
  readonly message: string;
  /** Its code, if it has one: the class's name for errors of this library. */
  readonly code?: string;
}

/** Thrown to the sender of a command whose handler has thrown: its error is in `failure`. */
export class CommandFailedError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** The actor that the command was sent to. */
  readonly actorId: string;
  /** The node on which the handler ran. */
  readonly nodeId: string;
  /** The error that the handler threw. */
  readonly failure: CommandFailure;

  /** Keeps the facts; `options.cause` is what the server has refused, if the failure is that. */
  constructor(
    commandId: string,
    actorId: string,
    nodeId: string,
    failure: CommandFailure,
    options?: ErrorOptions,
  ) {
    super(
      "CommandFailedError",
      `Cannot handle command "${commandId}" of "${actorId}": ${failure.message}`,
      options?.cause === undefined ? undefined : options,
    );
    this.commandId = commandId;
    this.actorId = actorId;
    this.nodeId = nodeId;
    this.failure = failure;
  }
}

/**
 * Thrown to a caller of a command that was refused before, and whose refusal is recorded: it is
 * final. The first caller got the error of `decide` itself.
 */
export class CommandRefusedError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** The actor that refused it. */
  readonly actorId: string;
  /** The error that `decide` threw. */
  readonly failure: CommandFailure;

  /** Keeps the facts. */
  constructor(commandId: string, actorId: string, failure: CommandFailure) {
    super(
      "CommandRefusedError",
      `Cannot execute command "${commandId}" on "${actorId}": it was refused before, and the ` +
        `refusal is final: ${failure.message}`,
    );
    this.commandId = commandId;
    this.actorId = actorId;
    this.failure = failure;
  }
}

/**
 * Thrown to the sender of a command that would have saved events of an actor whose shard another
 * node owns; that save stored nothing. A node writes the actors of its own shards only: send a
 * command to that actor instead.
 */
export class ActorElsewhereError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** The actor whose events could not be saved. */
  readonly actorId: string;
  /** Its shard. */
  readonly shard: number;
  /** The node that owns the shard. */
  readonly owner: string;

  /** Keeps the facts. */
  constructor(
    commandId: string,
    { actorId, shard, owner }: {
      readonly actorId: string;
      readonly shard: number;
      readonly owner: string;
    },
  ) {
    super(
      "ActorElsewhereError",
      `Cannot save events of "${actorId}" in command "${commandId}": node "${owner}" owns their ` +
        `shard ${shard}; send a command to "${actorId}" instead`,
    );
    this.commandId = commandId;
    this.actorId = actorId;
    this.shard = shard;
    this.owner = owner;
  }
}

/**
 * Thrown to a handler that sends a command which would wait for the handler's own end: to its own
 * actor, or to one whose handler waits for this one. The command did not run. A handler that does
 * not wait for the command gets this too, as nobody can see that; after its end the command runs.
 */
export class CommandCycleError extends AetherError {
  /** The command's id. */
  readonly commandId: string;
  /** The actors from the outermost handler to the one that the command was sent to. */
  readonly chain: readonly string[];

  /** Keeps the chain. */
  constructor(commandId: string, chain: readonly string[]) {
    super(
      "CommandCycleError",
      `Cannot handle command "${commandId}": it would wait for itself, from ` +
        chain.map((actorId) => `"${actorId}"`).join(" to "),
    );
    this.commandId = commandId;
    this.chain = chain;
  }
}

/**
 * Thrown when the time is over, or the signal aborted, and a command that was sent has no
 * answer: it was handled, is being handled, or never will be. Send it again under the same
 * `commandId`: its events are stored once, and the answer shows the outcome.
 */
export class CommandOutcomeUnknownError extends AetherError {
  /** The command's id: use it to send the command again. */
  readonly commandId: string;
  /** The actor that the command was sent to. */
  readonly actorId: string;

  /** Keeps the facts; `options.cause` is the error of the last try. */
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
 * Thrown to the sender of a command under which one owner after the other has crashed or hung: it is
 * not given to another one, as it may be what brings them down. Whether it was handled is unknown:
 * look into the logs of `nodes`, mend the handler or the command, then send it again under the same
 * `commandId`.
 */
export class CommandCrashedOwnersError extends AetherError {
  /** The command's id: use it to send the command again. */
  readonly commandId: string;
  /** The actor that the command was sent to. */
  readonly actorId: string;
  /** The nodes that had the command and were gone before they answered, in that order. */
  readonly nodes: readonly string[];

  /** Keeps the facts; `options.cause` is the error of the last try. */
  constructor(
    commandId: string,
    actorId: string,
    nodes: readonly string[],
    options?: ErrorOptions,
  ) {
    const names = nodes.map((node) => `"${node}"`).join(" and ");
    super(
      "CommandCrashedOwnersError",
      `Cannot tell whether command "${commandId}" of "${actorId}" was handled: its owners ${names} ` +
        "crashed or hung while they had it, and no other node gets it",
      options,
    );
    this.commandId = commandId;
    this.actorId = actorId;
    this.nodes = nodes;
  }
}

/**
 * Thrown by a projection when another process has taken a partition over; this process has saved
 * nothing since. Run a projection in one process only, or give it `leases` to share.
 *
 * If the checkpoint store has lost saves instead (`lost` is over 0: its database was restored, or a
 * standby without them took over), the projection tells `onError` and begins the partition again
 * after the position that is stored.
 */
export class CheckpointConflictError extends AetherError {
  /** The projection's name. */
  readonly projection: string;
  /** Which of its partitions. */
  readonly partition: number;
  /** How many of its last saves the checkpoint store has lost; 0 if another process took it over. */
  readonly lost: number;

  /** Keeps the place, and how many saves are lost. */
  constructor(projection: string, partition: number, lost = 0) {
    super(
      "CheckpointConflictError",
      `Cannot go on with partition ${partition} of projection "${projection}": ` +
        (lost > 0
          ? `its checkpoint store has lost the last ${lost === 1 ? "save" : `${lost} saves`}; it ` +
            "begins again after the position that is stored"
          : "another process has taken it over"),
    );
    this.projection = projection;
    this.partition = partition;
    this.lost = lost;
  }
}

/**
 * Thrown by a projection, reactor or process manager whose record in the checkpoint store is damaged:
 * something else has written there. It goes on once the record is as it was, or gone; without its
 * record it begins anew.
 */
export class CorruptCheckpointError extends AetherError {
  /** The record's key in the checkpoint store. */
  readonly key: string;

  /** Keeps the key; `reason` is the problem with its record. */
  constructor(key: string, reason: string, options?: ErrorOptions) {
    super(
      "CorruptCheckpointError",
      `Cannot read the record ${
        JSON.stringify(key)
      } of the checkpoint store: ${reason}; bring back ` +
        "an older state of it, or remove it so that its projection begins anew, and find out who else " +
        "may write there",
      options,
    );
    this.key = key;
  }
}

/** Thrown by a projection that halts at an event that its handler cannot handle; see `cause`. */
export class PoisonEventError extends AetherError {
  /** The projection's name. */
  readonly projection: string;
  /** The event's position: the projection begins with it when it runs again. */
  readonly sequence: number;
  /** The event's id. */
  readonly eventId: string;
  /** The event's actor. */
  readonly actorId: string;

  /** Keeps the place; `cause` is the error that the handler threw at the last of `attempts`. */
  constructor(
    projection: string,
    event: { readonly sequence: number; readonly id: string; readonly actorId: string },
    attempts: number,
    options?: ErrorOptions,
  ) {
    super(
      "PoisonEventError",
      `Cannot go on with projection "${projection}": event "${event.id}" of "${event.actorId}" ` +
        `at sequence ${event.sequence} failed ${attempts} times: ${textOf(options?.cause)}`,
      options,
    );
    this.projection = projection;
    this.sequence = event.sequence;
    this.eventId = event.id;
    this.actorId = event.actorId;
  }
}

/** The event at which a rebuild was given up, if it was one. */
export interface FailedEvent {
  /** Its position. */
  readonly sequence: number;
  /** Its id. */
  readonly eventId: string;
  /** Its actor. */
  readonly actorId: string;
}

/**
 * Thrown by `rebuild()` of a projection when the new version was given up, at the first failure of
 * its handler; the version before goes on. A handler that fails only in the new version may write
 * both versions to one place: write each to a place of its own, by `context.version`.
 */
export class RebuildFailedError extends AetherError {
  /** The projection's name. */
  readonly projection: string;
  /** The version that was given up. */
  readonly version: number;
  /** The event that its handler failed at; `undefined` if it was something else. */
  readonly event: FailedEvent | undefined;

  /** Keeps the facts; `cause` is the error, or its text if it failed in another process. */
  constructor(
    projection: string,
    version: number,
    reason: string,
    options?: ErrorOptions & { readonly event?: FailedEvent | undefined },
  ) {
    const event = options?.event;
    const place = event === undefined
      ? ""
      : `its handler failed at event "${event.eventId}" of "${event.actorId}" at sequence ` +
        `${event.sequence}: `;
    const advice = event === undefined
      ? ""
      : "; let the handler write each context.version to a place of its own, then rebuild again";
    super(
      "RebuildFailedError",
      `Cannot rebuild projection "${projection}" as version ${version}: ${place}${reason}${advice}`,
      options,
    );
    this.projection = projection;
    this.version = version;
    this.event = event;
  }
}

/**
 * Thrown when another process has joined the cluster by the name of this node: a restarted
 * process replaces the one before. Give every process a name of its own.
 */
export class NodeReplacedError extends AetherError {
  /** The name that both have. */
  readonly nodeId: string;
  /** The incarnation of the node that is over. */
  readonly incarnation: string;
  /** The incarnation that replaced it. */
  readonly replacedBy: string;

  /** Keeps both incarnations of the node. */
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
  /** See {@linkcode StoreRefusedError}. */
  StoreRefusedError: StoreRefusedError;
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
  /** See {@linkcode CommandRefusedError}. */
  CommandRefusedError: CommandRefusedError;
  /** See {@linkcode ActorElsewhereError}. */
  ActorElsewhereError: ActorElsewhereError;
  /** See {@linkcode CommandCycleError}. */
  CommandCycleError: CommandCycleError;
  /** See {@linkcode CommandCrashedOwnersError}. */
  CommandCrashedOwnersError: CommandCrashedOwnersError;
  /** See {@linkcode CommandOutcomeUnknownError}. */
  CommandOutcomeUnknownError: CommandOutcomeUnknownError;
  /** See {@linkcode CheckpointConflictError}. */
  CheckpointConflictError: CheckpointConflictError;
  /** See {@linkcode CorruptCheckpointError}. */
  CorruptCheckpointError: CorruptCheckpointError;
  /** See {@linkcode PoisonEventError}. */
  PoisonEventError: PoisonEventError;
  /** See {@linkcode RebuildFailedError}. */
  RebuildFailedError: RebuildFailedError;
  /** See {@linkcode NodeReplacedError}. */
  NodeReplacedError: NodeReplacedError;
}

/** The codes of this library's errors: the names of their classes. */
export type AetherErrorCode = keyof AetherErrors;

/**
 * Whether `error` is one of this library's, and of the class named by `code` if one is given.
 * Works when a program holds two copies of the package (JSR's and npm's); `instanceof` does not.
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
  try {
    return typeof error === "object" && error !== null && BRAND in error &&
      (code === undefined || (error as { code?: unknown }).code === code);
  } catch {
    return false; // A proxy that throws.
  }
}
