import {
  type Authenticator,
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import { readFile } from "node:fs/promises";
import { unlessAborted } from "../store/base/abort.ts";
import { messageOf } from "../store/base/text.ts";
import type { Connection } from "../store/connection.ts";
import { type ConnectionSettings, settingsOf } from "./settings.ts";
import { UsageError, type Values } from "./verb.ts";

/** How long a server has to answer when it is connected to, in ms. */
const TIMEOUT = 10_000;
/** How often a connection that lasts is checked, in ms: twice without an answer is a loss. */
const PING = 10_000;

/** Options for {@linkcode connectAs}. */
export interface ConnectOptions {
  /** Whether it is connected again however long that takes; otherwise for about 20 s. */
  readonly lasts: boolean;
  /** Ends connecting. */
  readonly signal: AbortSignal;
  /** Gets a line when the connection is lost, and when it is there again. */
  readonly tell: (line: string) => void;
}

/** Connects as the options say; those that are not given come from `--context`. */
export async function connectAs(
  values: Values,
  { lasts, signal, tell }: ConnectOptions,
): Promise<Connection> {
  const settings = await settingsOf(values);
  const { url } = settings;
  const options = {
    ...await optionsOf(settings),
    ...(lasts && { maxReconnectAttempts: -1, pingInterval: PING }),
  };
  const opening = connect(options);
  try {
    const connection = await unlessAborted(signal, opening);
    tellLosses(connection, url, tell);
    return connection;
  } catch (cause) {
    opening.then((late) => late.close(), () => {}); // Nobody waits for it any more.
    signal.throwIfAborted();
    throw new Error(`Cannot connect to ${url}: ${reasonOf(cause)}`, { cause });
  }
}

/** Tells of each loss of the connection, and why it does not come back, until it is closed. */
async function tellLosses(
  connection: Connection,
  url: string,
  tell: ConnectOptions["tell"],
): Promise<void> {
  for await (const status of connection.status()) {
    const { type } = status;
    if (type === "disconnect") tell(`The connection to ${url} is lost: trying again`);
    if (type === "reconnect") tell(`The connection to ${url} is there again`);
    if (type === "error" && isRefusal(status.error)) {
      tell(`The server at ${url} has refused the login: ${reasonOf(status.error)}`);
    }
  }
}

/** Why a connection failed, and what to look at. */
function reasonOf(cause: unknown): string {
  const { name } = cause as Error;
  const reason = messageOf(cause);
  if (isRefusal(cause)) {
    return `${reason}; look at --user and $NATS_PASSWORD, --creds, --nkey and --context`;
  }
  const told = name === "TimeoutError" ? `no nats-server answers in ${TIMEOUT / 1000} s` : reason;
  return `${told}; look at --server and --context`;
}

/** Whether the server does not take the login. */
function isRefusal(error: unknown): boolean {
  const { name } = error as Error;
  return name === "AuthorizationError" || name === "UserAuthenticationExpiredError";
}

async function optionsOf(settings: ConnectionSettings): Promise<NodeConnectionOptions> {
  const { url, user, password, token, creds, nkey, cert, key, ca, inbox_prefix } = settings;
  const authenticator = creds !== undefined
    ? await authenticatorOf(creds, credsAuthenticator)
    : nkey !== undefined
    ? await authenticatorOf(nkey, nkeyAuthenticator)
    : undefined;
  const tls = {
    ...(cert !== undefined && { certFile: cert }),
    ...(key !== undefined && { keyFile: key }),
    ...(ca !== undefined && { caFile: ca }),
  };
  // nats.js passes over the scheme, and would send a password in the clear.
  const isSecret = Object.keys(tls).length > 0 || /(^|,)tls:/.test(url);
  return {
    servers: url.split(","),
    name: "aether",
    timeout: TIMEOUT,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(token !== undefined && { token }),
    ...(authenticator !== undefined && { authenticator }),
    ...(isSecret && { tls }),
    ...(inbox_prefix !== undefined && { inboxPrefix: inbox_prefix }),
  };
}

async function authenticatorOf(
  file: string,
  make: (bytes: Uint8Array) => Authenticator,
): Promise<Authenticator> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new UsageError(`Cannot read ${file}`, { cause });
  }
  const text = new TextDecoder().decode(bytes);
  // The file of an NKey may hold more than the seed.
  const [seed] = /\bSU[A-Z0-9]{56}\b/.exec(text) ?? [];
  const isSeed = !text.includes("BEGIN NATS USER JWT") && seed !== undefined;
  const authenticator = make(isSeed ? new TextEncoder().encode(seed) : new Uint8Array(bytes));
  try {
    authenticator("nonce");
  } catch (cause) {
    throw new UsageError(`Cannot log in with ${file}: ${messageOf(cause)}`, { cause });
  }
  return authenticator;
}
