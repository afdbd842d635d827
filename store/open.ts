import type { StreamConfig } from "@nats-io/jetstream";
import { backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { StoreUnavailableError, StreamConfigError, UnsupportedServerError } from "./errors.ts";
import { DEFAULT_SHARDS, FORMAT, HASH, type Layout } from "./layout.ts";
import { ApiError, isPassing, ServerCode, type StreamApi, type StreamNames } from "./stream.ts";
import { FORBIDDEN, problemsOf } from "./stream_config.ts";
import { Wire } from "./wire.ts";

/** The oldest server whose checks keep the promises: atomic batches came with it. */
const REQUIRED_SERVER = "2.12.0";

const decoder = new TextDecoder();

/** What a stream's first message says: believed for ever, for it cannot be edited. */
export interface Genesis {
  /** Version of the storage format. */
  readonly format: number;
  /** Shards that actors are spread over. */
  readonly shards: number;
  /** How an actor's shard is found. */
  readonly hash: string;
  /** Tells this stream from any other that had or will have its name. */
  readonly identity: string;
}

/** An opened stream. */
export interface OpenedStream {
  readonly genesis: Genesis;
  readonly config: StreamConfig;
}

/** What is asked of a stream. */
export interface StreamWishes {
  readonly replicas: number;
  readonly shards: number | undefined;
  readonly timeout: number;
}

/**
 * Refuses a server that is too old, before anything is written.
 *
 * @throws {UnsupportedServerError} The server is older than 2.12.
 */
function checkServer(connection: Connection): void {
  const version = connection.info?.version ?? "unknown";
  if (!isAtLeast(version, REQUIRED_SERVER)) {
    throw new UnsupportedServerError(version, REQUIRED_SERVER);
  }
}

/**
 * Refuses an option that is no integer from `least` to `most`.
 *
 * @throws {RangeError} It is out of its range.
 */
export function checkRange(
  name: string,
  value: number,
  least: number,
  most: number,
  what = "the store",
): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`Cannot open ${what}: ${name} is ${value}, not from ${least} to ${most}`);
  }
}

/**
 * A wire over `connection`, for `what` is opened on it.
 *
 * @throws {StoreUnavailableError} The connection is closed or drains, or broken at the moment.
 * @throws {UnsupportedServerError} The server is older than 2.12.
 */
export function openWire(connection: Connection, what = "the store"): Wire {
  if (connection.isClosed() || connection.isDraining()) {
    throw new StoreUnavailableError(`Cannot open ${what}: the connection is closed or drains`);
  }
  if (connection.info === undefined) {
    throw new StoreUnavailableError(`Cannot open ${what}: there is no connection at the moment`);
  }
  checkServer(connection);
  return new Wire(connection);
}

/**
 * Opens the stream of events, or makes it where there is none. One that stands is verified,
 * never changed.
 *
 * @throws {StreamConfigError} The stream would lose events, or is not what was asked for.
 * @throws {StoreUnavailableError} No answer within the timeout.
 */
export async function openStream(api: StreamApi, wishes: StreamWishes): Promise<OpenedStream> {
  const { stream, subjects } = api.layout;
  return await opening(api, wishes.timeout, async () => {
    const config = await ensureStream(api, configOf(api.layout, wishes.replicas), wishes.timeout);
    const problems = problemsOf(config, { subjects, required: SAFE, forbidden: UNSAFE });
    if (problems.length > 0) throw new StreamConfigError(stream, problems);
    const genesis = await ensureGenesis(api, wishes);
    if (wishes.shards !== undefined && wishes.shards !== genesis.shards) {
      throw new StreamConfigError(stream, [
        `it has ${genesis.shards} shards for ever, not ${wishes.shards}`,
      ]);
    }
    return { genesis, config };
  });
}

/**
 * Does what opens a stream, again while the trouble is passing and `timeout` ms are not over.
 *
 * @throws {StreamConfigError} As `work` says, or the server refuses.
 * @throws {StoreUnavailableError} No answer within the timeout.
 */
export async function opening<T>(
  { wire, layout: { stream } }: StreamApi<StreamNames>,
  timeout: number,
  work: () => Promise<T>,
): Promise<T> {
  for (const retry = backoff(performance.now() + timeout);;) {
    try {
      return await work();
    } catch (error) {
      // Servers that have just come up, or miss one of them for a moment, find no place at first.
      const isUnplaced = error instanceof ApiError && error.code === ServerCode.NO_PEERS;
      if ((isPassing(error) || isUnplaced) && await retry(wire)) continue;
      if (error instanceof ApiError && error.status !== 503) {
        throw new StreamConfigError(stream, [`the server refuses: ${error.message}`]);
      }
      if (error instanceof StreamConfigError) throw error;
      throw new StoreUnavailableError(
        `Cannot open stream "${stream}": ${(error as Error).message}; ` +
          "see that the server runs with JetStream and permits its API",
        { cause: error },
      );
    }
  }
}

/** The configuration of the stream that stands, or of one that is made by `config`. */
export async function ensureStream(
  api: StreamApi<StreamNames>,
  config: Partial<StreamConfig>,
  timeout: number,
): Promise<StreamConfig> {
  const pause = timeout / 5;
  const standing = await api.info(pause);
  if (standing !== undefined) return standing.config;
  try {
    await api.create(config, pause);
  } catch (error) {
    // Somebody made it meanwhile, with other replicas: theirs is verified like any other.
    if (!(error instanceof ApiError) || error.code !== ServerCode.STREAM_NAME_IN_USE) throw error;
  }
  const made = await api.info(pause);
  if (made === undefined) {
    throw new ApiError({ code: 503, description: "the stream is gone as soon as it was made" });
  }
  return made.config;
}

async function ensureGenesis(api: StreamApi, wishes: StreamWishes): Promise<Genesis> {
  const { layout } = api;
  const pause = wishes.timeout / 5;
  const standing = await api.get({ last_by_subj: layout.genesis }, pause);
  if (standing !== undefined) return readGenesis(decoder.decode(standing.data), layout);
  const genesis = {
    format: FORMAT,
    shards: wishes.shards ?? DEFAULT_SHARDS,
    hash: HASH,
    identity: crypto.randomUUID(),
    created: new Date().toISOString(),
  };
  const founded = await api.found(layout.genesis, genesis, pause);
  const stored = await api.get({ last_by_subj: layout.genesis }, pause);
  if (stored !== undefined) return readGenesis(decoder.decode(stored.data), layout);
  if (founded) throw new ApiError({ code: 503, description: "the genesis is not to be read yet" });
  const state = (await api.info(pause))?.state;
  if (state === undefined || state.last_seq === 0) {
    throw new ApiError({ code: 503, description: "the genesis was not stored" });
  }
  const first = await api.get({ seq: state.first_seq, next_by_subj: ">" }, pause);
  if (first === undefined || first.subject === layout.genesis) {
    throw new ApiError({ code: 503, description: "others make the stream at the moment" });
  }
  throw new StreamConfigError(layout.stream, [
    "it holds messages, yet none that says what it is: it was not made by this library",
  ]);
}

function readGenesis(text: string, layout: Layout): Genesis {
  let value: Partial<Genesis> = {};
  try {
    value = JSON.parse(text) ?? {};
  } catch {
    // Not JSON: told below.
  }
  const { format, shards, hash, identity } = value;
  const problem = format !== FORMAT
    ? `its format is ${JSON.stringify(format)}, and ${FORMAT} is what this version reads`
    : !Number.isSafeInteger(shards) || shards! < 1
    ? `its shard count is ${JSON.stringify(shards)}`
    : hash !== HASH
    ? `its shard hash is ${JSON.stringify(hash)}, and ${HASH} is what this version computes`
    : typeof identity !== "string"
    ? "it has no identity"
    : undefined;
  if (problem !== undefined) throw new StreamConfigError(layout.stream, [problem]);
  return value as Genesis;
}

function configOf(layout: Layout, replicas: number): Partial<StreamConfig> {
  return {
    name: layout.stream,
    subjects: [...layout.subjects],
    ...SAFE,
    num_replicas: replicas,
    metadata: { "aether-format": String(FORMAT) },
  } as Partial<StreamConfig>;
}

/** The settings without which a stream loses events. */
const SAFE = {
  retention: "limits",
  storage: "file",
  discard: "new",
  max_age: 0,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  deny_delete: true,
  deny_purge: true,
  allow_direct: true,
  allow_atomic: true,
} as const;

/** Settings that must be off, and what each would do. */
const UNSAFE = {
  ...FORBIDDEN,
  allow_rollup_hdrs: "a rollup deletes events",
  allow_msg_ttl: "events can be told to expire",
  subject_delete_marker_ttl: "it turns deny_purge off",
  discard_new_per_subject: "it limits the events of an actor",
} as const;

function isAtLeast(version: string, required: string): boolean {
  const actual = version.split(/[.-]/).map(Number);
  const wanted = required.split(".").map(Number);
  for (const [at, number] of wanted.entries()) {
    const own = actual[at] ?? 0;
    if (own !== number) return own > number;
  }
  return true;
}
