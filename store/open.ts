import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { StoreUnavailableError, StreamConfigError, UnsupportedServerError } from "./errors.ts";
import { DEFAULT_SHARDS, FORMAT, HASH, type Layout } from "./layout.ts";
import { ApiError, isPassing, ServerCode, type StreamApi } from "./stream.ts";

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
export function checkServer(connection: Connection): void {
  const version = connection.info?.version ?? "unknown";
  if (!isAtLeast(version, REQUIRED_SERVER)) {
    throw new UnsupportedServerError(version, REQUIRED_SERVER);
  }
}

/**
 * Opens the stream, or makes it where there is none. One that stands is verified, never changed.
 *
 * @throws {StreamConfigError} The stream would lose events, or is not what was asked for.
 * @throws {StoreUnavailableError} No answer within the timeout.
 */
export async function openStream(api: StreamApi, wishes: StreamWishes): Promise<OpenedStream> {
  const { stream } = api.layout;
  const deadline = performance.now() + wishes.timeout;
  for (const retry = backoff(deadline);;) {
    try {
      const info = await ensureStream(api, wishes);
      const problems = problemsOf(info.config, api.layout);
      if (problems.length > 0) throw new StreamConfigError(stream, problems);
      const genesis = await ensureGenesis(api, wishes);
      if (wishes.shards !== undefined && wishes.shards !== genesis.shards) {
        throw new StreamConfigError(stream, [
          `it has ${genesis.shards} shards for ever, not ${wishes.shards}`,
        ]);
      }
      return { genesis, config: info.config };
    } catch (error) {
      const again = isPassing(error) && await retry(api.wire);
      if (again) continue;
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

async function ensureStream(api: StreamApi, wishes: StreamWishes): Promise<StreamInfo> {
  const pause = wishes.timeout / 5;
  const standing = await api.info(pause);
  if (standing !== undefined) return standing;
  const config = configOf(api.layout, wishes.replicas);
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
  return made;
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
  const founded = await api.found(genesis, pause);
  const stored = await api.get({ last_by_subj: layout.genesis }, pause);
  if (stored !== undefined) return readGenesis(decoder.decode(stored.data), layout);
  if (founded) throw new ApiError({ code: 503, description: "the genesis is not to be read yet" });
  const state = (await api.info(pause))?.state;
  if (state === undefined || state.last_seq === 0) {
    throw new ApiError({ code: 503, description: "the genesis was not stored" });
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
  no_ack: "saves are not acknowledged",
  mirror: "it is a copy of another stream",
  sources: "it takes in other streams",
  subject_transform: "it moves messages to other subjects",
  allow_rollup_hdrs: "a rollup deletes events",
  sealed: "nothing can be saved",
  mirror_direct: "reads may come from a copy",
  allow_msg_ttl: "events can be told to expire",
  subject_delete_marker_ttl: "it turns deny_purge off",
  allow_msg_schedules: "messages can be stored later",
  allow_msg_counter: "bodies are taken for counters",
  discard_new_per_subject: "it limits the events of an actor",
} as const;

/** What of `config` would lose events; each a sentence. */
function problemsOf(config: StreamConfig, layout: Layout): string[] {
  const settings = config as unknown as Record<string, unknown>;
  const problems: string[] = [];
  for (const [name, wanted] of Object.entries(SAFE)) {
    const actual = settings[name];
    // The server leaves out, or writes as 0, what is not limited.
    const unlimited = typeof wanted === "number" && (actual === 0 || actual === undefined);
    if (actual !== wanted && !unlimited) {
      problems.push(`${name} is ${JSON.stringify(actual)} and must be ${JSON.stringify(wanted)}`);
    }
  }
  for (const [name, effect] of Object.entries(UNSAFE)) {
    const value = settings[name];
    if (value !== undefined && value !== false && value !== 0 && value !== null) {
      if (Array.isArray(value) && value.length === 0) continue;
      problems.push(`${name} is set, so ${effect}`);
    }
  }
  if (settings.persist_mode === "async") {
    problems.push('persist_mode is "async", so saves are acknowledged before they are stored');
  }
  const subjects = [...config.subjects ?? []].sort().join(" ");
  const wanted = [...layout.subjects].sort().join(" ");
  if (subjects !== wanted) problems.push(`its subjects are "${subjects}" and must be "${wanted}"`);
  return problems;
}

function isAtLeast(version: string, required: string): boolean {
  const actual = version.split(/[.-]/).map(Number);
  const wanted = required.split(".").map(Number);
  for (const [at, number] of wanted.entries()) {
    const own = actual[at] ?? 0;
    if (own !== number) return own > number;
  }
  return true;
}
