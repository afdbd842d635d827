import type { StreamConfig } from "@nats-io/jetstream";
import { roomProblems } from "../check/events.ts";
import { StreamConfigError } from "../errors.ts";
import { DEFAULT_SHARDS, FORMAT, HASH, type Layout } from "../format/layout.ts";
import { ensureStream, opening } from "../nats/open.ts";
import { requestTimeoutOf } from "../nats/request_timeout.ts";
import { ApiError, type StreamApi } from "../nats/stream_api.ts";
import { FORBIDDEN, problemsOf } from "../nats/stream_config.ts";
import { holesIn, listHoles, Losses, lostIn } from "../read/losses.ts";
import { identityOf } from "../read/stream_check.ts";

const decoder = /* @__PURE__ */ new TextDecoder();

/**
 * The content of a stream's first message: it holds for as long as the stream does, as nobody can
 * edit it.
 */
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
  /** See `EventStore.identity`: the genesis's, and the last epoch's behind a `+` if there is one. */
  readonly identity: string;
  readonly genesis: Genesis;
  readonly config: StreamConfig;
  readonly losses: Losses;
}

/** The wanted settings of a stream. */
export interface StreamRequest {
  readonly replicas: number;
  readonly shards: number | undefined;
  readonly timeout: number;
  /** Messages that it may have lost. @default {0} */
  readonly acceptedLosses?: number | undefined;
}

/**
 * Opens the stream of events, or makes it if there is none. An existing one is verified, never
 * changed.
 *
 * @throws {StreamConfigError} The stream would lose events, or is not what was asked for.
 * @throws {StoreUnavailableError} No answer within the timeout.
 */
export async function openStream(api: StreamApi, wanted: StreamRequest): Promise<OpenedStream> {
  const { stream, subjects } = api.layout;
  return await opening(api, wanted.timeout, async () => {
    const { timeout } = wanted;
    const made = configOf(api.layout, wanted.replicas);
    const config = await ensureStream(api, made, timeout, api.layout.genesis);
    const problems = problemsOf(config, { subjects, required: SAFE, forbidden: UNSAFE });
    problems.push(...roomProblems(api.requests.maxPayload, config));
    if (problems.length > 0) throw new StreamConfigError(stream, problems);
    const genesis = await ensureGenesis(api, wanted);
    const requestTimeout = requestTimeoutOf(wanted.timeout);
    const epoch = await api.get({ last_by_subj: api.layout.epoch }, requestTimeout);
    const identity = identityOf(genesis.identity, epoch);
    if (wanted.shards !== undefined && wanted.shards !== genesis.shards) {
      throw new StreamConfigError(stream, [
        `it has ${genesis.shards} shards, fixed when it was made, not ${wanted.shards}`,
      ]);
    }
    return { genesis, identity, config, losses: await lossesOf(api, wanted) };
  });
}

/** The messages that the stream has lost until now. */
async function lossesOf(
  api: StreamApi,
  { timeout, acceptedLosses = 0 }: StreamRequest,
): Promise<Losses> {
  const requestTimeout = requestTimeoutOf(timeout);
  const info = await api.info(requestTimeout);
  const lost = info === undefined ? 0 : lostIn(info.state);
  const holes = info === undefined ? [] : await holesIn(api, info.state, requestTimeout);
  if (lost <= acceptedLosses) return new Losses(api, holes, lost, requestTimeout);
  throw new StreamConfigError(api.layout.stream, [
    `it has lost ${lost} of its messages (stream sequences ${
      listHoles(holes)
    }), by a limit that was ` +
    `set for a while or on a damaged disk; find out what they were, and open it with ` +
    `acceptedLosses: ${lost} to read what is left, or to go on without them`,
  ]);
}

async function ensureGenesis(api: StreamApi, wanted: StreamRequest): Promise<Genesis> {
  const { layout } = api;
  const requestTimeout = requestTimeoutOf(wanted.timeout);
  const existing = await api.get({ last_by_subj: layout.genesis }, requestTimeout);
  if (existing !== undefined) return readGenesis(decoder.decode(existing.data), layout);
  const genesis = {
    format: FORMAT,
    shards: wanted.shards ?? DEFAULT_SHARDS,
    hash: HASH,
    identity: crypto.randomUUID(),
    created: new Date().toISOString(),
  };
  const founded = await api.found(layout.genesis, genesis, requestTimeout);
  const stored = await api.get({ last_by_subj: layout.genesis }, requestTimeout);
  if (stored !== undefined) return readGenesis(decoder.decode(stored.data), layout);
  if (founded) throw new ApiError({ code: 503, description: "the genesis is not to be read yet" });
  const state = (await api.info(requestTimeout))?.state;
  if (state === undefined || state.last_seq === 0) {
    throw new ApiError({ code: 503, description: "the genesis was not stored" });
  }
  const first = await api.get({ seq: state.first_seq, next_by_subj: ">" }, requestTimeout);
  if (first === undefined || first.subject === layout.genesis) {
    throw new ApiError({ code: 503, description: "others make the stream at the moment" });
  }
  if (state.first_seq > 1) {
    throw new StreamConfigError(layout.stream, [
      `it has lost its first messages, up to stream sequence ${
        state.first_seq - 1
      }, and with them ` +
      "what says what it is: a limit was set for a while, or a disk was damaged; restore a backup",
    ]);
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
    // Not JSON: reported below.
  }
  const { format, shards, hash, identity } = value;
  const problem = format !== FORMAT
    ? `its format is ${JSON.stringify(format)}, and ${FORMAT} is what this version reads`
    : !Number.isSafeInteger(shards) || shards! < 1
    ? `its shard count is ${JSON.stringify(shards)}`
    : hash !== HASH
    ? `its shard hash is ${JSON.stringify(hash)}, and ${HASH} is what this version computes`
    : typeof identity !== "string" || identity.includes("+")
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
  allow_msg_ttl: "an event may carry a time at which it expires",
  subject_delete_marker_ttl: "it turns deny_purge off",
  discard_new_per_subject: "it limits the events of an actor",
} as const;
