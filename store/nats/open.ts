import type { StreamConfig } from "@nats-io/jetstream";
import type { Connection } from "../connection.ts";
import { StoreUnavailableError, StreamConfigError, UnsupportedServerError } from "../errors.ts";
import { backoff } from "./backoff.ts";
import { RequestMux } from "./requests.ts";
import { ApiError, isPassing, ServerCode, type StreamApi, type StreamNames } from "./stream_api.ts";
import { requestTimeoutOf } from "./request_timeout.ts";
import { answersTo, twinError } from "./twin.ts";

/** The oldest server whose checks keep the promises: atomic batches came with it. */
const REQUIRED_SERVER = "2.12.0";

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
 * A request mux over `connection`; `what` is about to be opened on it.
 *
 * @throws {StoreUnavailableError} The connection is closed, draining, or broken at the moment.
 * @throws {UnsupportedServerError} The server is older than 2.12.
 */
export function openRequests(connection: Connection, what = "the store"): RequestMux {
  if (connection.isClosed() || connection.isDraining()) {
    throw new StoreUnavailableError(`Cannot open ${what}: the connection is closed or drains`);
  }
  if (connection.info === undefined) {
    throw new StoreUnavailableError(`Cannot open ${what}: there is no connection at the moment`);
  }
  checkServer(connection);
  return new RequestMux(connection);
}

/**
 * Does `work`, which opens a stream; repeats it after passing trouble until `timeout` ms are over.
 *
 * @throws {StreamConfigError} `work` threw it, or the server refuses.
 * @throws {StoreUnavailableError} No answer within the timeout.
 */
export async function opening<T>(
  { requests, layout: { stream } }: StreamApi<StreamNames>,
  timeout: number,
  work: () => Promise<T>,
): Promise<T> {
  for (const retry = backoff(performance.now() + timeout);;) {
    try {
      return await work();
    } catch (error) {
      // A cluster that has just started, or misses a server for a moment, has no peers at first.
      const isUnplaced = error instanceof ApiError && error.code === ServerCode.NO_PEERS;
      if ((isPassing(error) || isUnplaced) && await retry(requests)) continue;
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

/**
 * The configuration of the existing stream, or of one that it makes by `config`.
 *
 * @param probe An exact subject of the stream, if its subjects may reach servers with a JetStream
 * of their own: then no second stream may listen there.
 * @throws {StreamConfigError} Another stream has the subject.
 */
export async function ensureStream(
  api: StreamApi<StreamNames>,
  config: Partial<StreamConfig>,
  timeout: number,
  probe?: string,
): Promise<StreamConfig> {
  const requestTimeout = requestTimeoutOf(timeout);
  let standing = await api.info(requestTimeout);
  if (standing === undefined && probe !== undefined && await answersTo(api, probe) > 0) {
    // Another process may have made it meanwhile.
    standing = await api.info(requestTimeout);
    if (standing === undefined) throw twinError(api, probe);
  }
  if (standing !== undefined) {
    // Without a domain there are seldom two, and each open would wait.
    const isAlone = probe === undefined || api.domain === "" ||
      await answersTo(api, probe) <= 1;
    if (!isAlone) throw twinError(api, probe);
    return standing.config;
  }
  try {
    await api.create(config, requestTimeout);
  } catch (error) {
    // Another process made it meanwhile, with other replicas: the caller verifies it like any other.
    if (!(error instanceof ApiError) || error.code !== ServerCode.STREAM_NAME_IN_USE) throw error;
  }
  const made = await api.info(requestTimeout);
  if (made === undefined) {
    throw new ApiError({ code: 503, description: "the stream was gone as soon as it was made" });
  }
  return made.config;
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
