/** Server error codes that this library acts on. */
export const ServerCode = {
  NO_PEERS: 10005,
  STREAM_NOT_FOUND: 10059,
  STREAM_NAME_IN_USE: 10058,
  WRONG_LAST_SEQUENCE: 10071,
  WRONG_LAST_SEQUENCE_CONSTANT: 10164,
  NO_MESSAGE: 10037,
  MESSAGE_TOO_LARGE: 10054,
  BATCH_INCOMPLETE: 10176,
  BATCH_TOO_LARGE: 10199,
  BATCH_TOO_MANY_OPEN: 10210,
  NOT_ENABLED: 10076,
  NOT_ENABLED_FOR_ACCOUNT: 10039,
} as const;

/**
 * What to do about a refusal that no other try can cure, by the server's code. All other codes of
 * the API are classed by their status: see {@linkcode isPassingCode}.
 */
const ADVICE: Readonly<Record<number, string>> = {
  // Room: of the stream, the account, the server.
  10077: "raise the limits of the stream, such as max_bytes, or free space on the server's disk",
  10002: "raise the limits of the account",
  10023: "give the server more storage or memory for JetStream",
  10028: "give the server more memory for JetStream",
  10047: "give the server more storage for JetStream",
  10104: "the account needs streams with max_bytes: make the stream by hand, or lift that limit",
  10120: "give the account limits of JetStream for this number of replicas",
  10122: "make the stream by hand with a smaller max_bytes, or raise the account's limit",
  // Sizes.
  10054: "raise max_msg_size of the stream, or save less in one message",
  10097: "save fewer or shorter ids, types and metadata in one message",
  10199:
    "raise max_msgs in `jetstream { limits { batch { … } } }` of the server, or save less at once",
  // Consumers: subscriptions, projections and watches need one each.
  10026: "raise max_consumers of the stream or of the account, or end other subscriptions",
  10153: "raise inactive_threshold in consumer_limits of the stream, or lower the store's timeout",
  // Streams.
  10027: "raise the number of streams that the account may have",
  10065: "another stream has subjects of this one: change or delete it",
  10074: "ask for 1 replica, or run the servers as a cluster",
  // Forbidden by the stream.
  10109: "the stream is sealed: open a copy that is not",
  10174: "allow_atomic of the stream is off: turn it on",
  10057: "deny_delete of the stream forbids it",
  10110: "deny_purge of the stream forbids it",
  10111: "allow_rollup_hdrs of the stream is off: turn it on",
  10166: "allow_msg_ttl of the stream is off: turn it on",
};

/**
 * Codes that pass though their status is that of a refusal: the cluster is moving or not ready, or
 * the write met another one.
 */
const PASSING: ReadonlySet<number> = new Set([
  ServerCode.WRONG_LAST_SEQUENCE_CONSTANT, // another message on the subject is in flight
  ServerCode.BATCH_INCOMPLETE, // dropped by a change of leaders, or one batch too many
  ServerCode.BATCH_TOO_MANY_OPEN,
  10006, // the cluster is not active
  10007, // not assigned
  10009, // not the leader
  10041, // general error of Raft
  10072, // temporary storage failed
  10118, // the stream is offline
  10119, // the consumer is offline
]);

/** Codes that refuse a message or a batch for its own size. */
const SIZES: ReadonlySet<number> = new Set([
  ServerCode.MESSAGE_TOO_LARGE,
  10097, // headers
  ServerCode.BATCH_TOO_LARGE,
]);

/** Whether `code` refuses a message or a batch for its own size. */
export function isSizeCode(code: number): boolean {
  return SIZES.has(code);
}

/** Whether another try may succeed where the server answered by `code` and HTTP-like `status`. */
export function isPassingCode(code: number, status: number): boolean {
  if (PASSING.has(code)) return true;
  return status === 503 && ADVICE[code] === undefined;
}

/** What to do about a refusal by `code`. */
export function adviceFor(code: number): string {
  return ADVICE[code] ??
    "see what the server's log says, and change its configuration or the stream's";
}
