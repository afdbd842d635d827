import { headers } from "@nats-io/nats-core";
import { decodeJson, encodeJson, jsonIn } from "../base/json.ts";
import type { Connection } from "../connection.ts";
import { StreamConfigError } from "../errors.ts";
import { Layout } from "../format/layout.ts";
import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import { apiPrefixOf, type JetStreamApiOptions } from "../nats/api_prefix.ts";
import { openRequests } from "../nats/open.ts";
import { requestTimeoutOf } from "../nats/request_timeout.ts";
import { attempt } from "../nats/retry.ts";
import { ApiError, ServerCode, StreamApi } from "../nats/stream_api.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { identityOf } from "../read/stream_check.ts";
import { openStream } from "./event_stream.ts";
import { checkOptions } from "./options.ts";

/** Options for {@linkcode markRestored}. */
export interface MarkRestoredOptions extends JetStreamApiOptions {
  /** The namespace of the store. @default {"default"} */
  readonly namespace?: string;
  /** Deadline of the call in ms. @default {10_000} */
  readonly timeout?: number;
}

/** The mark that {@linkcode markRestored} stored. */
export interface RestoreMark {
  /** `EventStore.identity` before: of the stream that the backup was taken of. */
  readonly previousIdentity: string;
  /** `EventStore.identity` from now on. */
  readonly identity: string;
  /** Position of the mark: events with a smaller `sequence` came with the backup. */
  readonly sequence: number;
  /** When the mark was made, by this machine's clock. */
  readonly restoredAt: Date;
}

/**
 * Stores in the stream of a namespace that it was restored from a backup. Call it once after each
 * restore, before any store, cluster or projection is opened on the stream again: the stream has the
 * same genesis as before, and will have other events where the lost ones were. From the mark on it
 * has another identity, so that whatever was remembered of the lost events is refused with
 * `StreamRegressedError` instead of being believed: checkpoints, causes of commands, caches of open
 * stores.
 *
 * Safe to call again when its outcome is unknown: a second mark changes the identity once more.
 *
 * @example After `nats stream restore`
 * ```ts ignore
 * import { markRestored } from "@flowmade-one/aether";
 *
 * const { previousIdentity, identity } = await markRestored(connection, { namespace: "shop" });
 * console.log(`${previousIdentity} is ${identity} from now on`);
 * ```
 *
 * @throws {StreamConfigError} There is no stream, or it is none of this library.
 * @throws {StoreRefusedError} The user may not write to the stream, or it takes no more.
 * @throws {StoreUnavailableError} JetStream does not answer; the mark may be there.
 * @throws {RangeError} An option is out of its range.
 */
export async function markRestored(
  connection: Connection,
  options: MarkRestoredOptions = {},
): Promise<RestoreMark> {
  const { namespace = "default", timeout = 10_000 } = options;
  const layout = new Layout(namespace);
  checkOptions({ timeout });
  const prefix = apiPrefixOf(options);
  const requests = openRequests(connection);
  try {
    const api = new StreamApi(requests, layout, prefix);
    const requestTimeout = requestTimeoutOf(timeout);
    const find = <T>(work: () => Promise<T>): Promise<T> =>
      attempt(requests, timeout, `mark stream "${layout.stream}" as restored`, work);
    if (await find(() => api.info(requestTimeout)) === undefined) {
      throw new StreamConfigError(layout.stream, ["it does not exist; restore the backup first"]);
    }
    const wanted = { replicas: 1, shards: undefined, timeout, acceptedLosses: Infinity };
    const { genesis } = await openStream(api, wanted);
    const restoredAt = new Date();
    const mark = { epoch: crypto.randomUUID(), restoredAt: restoredAt.toISOString() };
    let previous: StoredMessage | undefined;
    const stored = await find(async () => {
      const last = await api.get({ last_by_subj: layout.epoch }, requestTimeout);
      // It is there already if the answer to a try was lost.
      if (last !== undefined && isMark(last, mark.epoch)) return last;
      previous = last;
      const sequence = await write(api, mark, last, requestTimeout);
      return { sequence, data: encodeJson(mark) };
    });
    return {
      previousIdentity: identityOf(genesis.identity, previous),
      identity: identityOf(genesis.identity, stored),
      sequence: positionOf(stored.sequence),
      restoredAt,
    };
  } finally {
    requests.close();
  }
}

function isMark({ data }: StoredMessage, epoch: string): boolean {
  return (jsonIn(data) as { epoch?: unknown } | null | undefined)?.epoch === epoch;
}

/** Stores a mark behind `last`, and tells where; fails if another one came in between. */
async function write(
  { requests, layout }: StreamApi,
  mark: { readonly epoch: string; readonly restoredAt: string },
  last: StoredMessage | undefined,
  requestTimeout: number,
): Promise<StreamSequence> {
  const condition = headers();
  condition.set("Nats-Expected-Last-Subject-Sequence", String(last?.sequence ?? 0));
  const body = encodeJson(mark);
  const answer = await requests.request(layout.epoch, body, requestTimeout, condition);
  const { seq, error } = decodeJson(answer.data) as {
    readonly seq?: number;
    readonly error?: ConstructorParameters<typeof ApiError>[0];
  };
  if (seq !== undefined && error === undefined) return asStreamSequence(seq);
  throw new ApiError(
    error === undefined || error.err_code === ServerCode.WRONG_LAST_SEQUENCE
      ? { code: 503, description: "another mark came in between" }
      : error,
  );
}
