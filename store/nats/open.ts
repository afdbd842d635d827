import { needMethods } from "../base/given.ts";
import type { StreamConfig } from "@nats-io/jetstream";
import type { Connection } from "../connection.ts";
import {
  AetherError,
  StoreRefusedError,
  StoreUnavailableError,
  StreamConfigError,
  UnsupportedServerError,
} from "../errors.ts";
import { backoff } from "./backoff.ts";
import { failed } from "./failure.ts";
import { RequestError } from "./request_error.ts";
import { adviceFor } from "./server_code.ts";
import { RequestMux } from "./requests.ts";
import { isAtLeast } from "./server_version.ts";
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
 * Refuses what is no connection.
 *
 * @throws {TypeError} It is something else.
 */
export function needConnection(connection: unknown, what: string): void {
  const kind = "a connection to NATS, as `connect()` gives it; it comes before the options";
  needMethods(connection, ["publish", "request", "isClosed"], what, "connection", kind);
}

/**
 * A request mux over `connection`; `what` is about to be opened on it.
 *
 * @throws {TypeError} `connection` is none.
 * @throws {StoreUnavailableError} The connection is closed, draining, or broken at the moment.
 * @throws {UnsupportedServerError} The server is older than 2.12.
 */
export function openRequests(connection: Connection, what = "the store"): RequestMux {
  needConnection(connection, `open ${what}`);
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
 * @throws {StoreRefusedError} There is no JetStream, or the connection's user may not use it.
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
      const without = withoutJetStream(error, requests.hasJetStream);
      if (without !== undefined) {
        const message = `Cannot open stream "${stream}": ${without}`;
        const advice = "turn JetStream on: see `jetstream` in the server's configuration";
        throw new StoreRefusedError(`${message}; ${advice}`, advice, codeOf(error), {
          cause: error,
        });
      }
      // A cluster that has just started, or misses a server for a moment, has no peers at first.
      const isUnplaced = error instanceof ApiError && error.code === ServerCode.NO_PEERS;
      // A server of a cluster may not know yet of a stream that was made just now.
      const isUnknown = error instanceof ApiError && error.code === ServerCode.STREAM_NOT_FOUND;
      if ((isPassing(error) || isUnplaced || isUnknown) && await retry(requests)) continue;
      if (error instanceof ApiError && error.status !== 503) {
        const advice = adviceFor(error.code);
        throw new StreamConfigError(stream, [`the server refuses: ${error.message}`, advice]);
      }
      if (error instanceof AetherError) throw error;
      const advice = "see that the server runs with JetStream and permits its API";
      throw failed(`open stream "${stream}"`, error, advice);
    }
  }
}

/** Why there is no JetStream behind the connection, nor will be without a change of its setup. */
function withoutJetStream(error: unknown, hasJetStream: boolean): string | undefined {
  const code = codeOf(error);
  if (code === ServerCode.NOT_ENABLED_FOR_ACCOUNT) return "the account has no JetStream";
  if (code === ServerCode.NOT_ENABLED) return "the server has no JetStream";
  // A server without it may be joined to others that have it: then these answer.
  const isUnheard = error instanceof RequestError && error.failure === "no responders";
  return isUnheard && !hasJetStream
    ? "the server has no JetStream, and no other answers"
    : undefined;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof ApiError ? error.code : undefined;
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
  let existing = await api.info(requestTimeout);
  if (existing === undefined && probe !== undefined && await answersTo(api, probe) > 0) {
    // Another process may have made it meanwhile.
    existing = await api.info(requestTimeout);
    if (existing === undefined) throw twinError(api, probe);
  }
  if (existing !== undefined) {
    // Without a domain there are seldom two, and each open would wait.
    const isAlone = probe === undefined || api.domain === "" ||
      await answersTo(api, probe) <= 1;
    if (!isAlone) throw twinError(api, probe);
    return existing.config;
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
