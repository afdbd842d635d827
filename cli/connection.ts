import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { unlessAborted } from "../store/base/abort.ts";
import { isRecord } from "../store/base/json.ts";
import { messageOf } from "../store/base/text.ts";
import type { Connection } from "../store/connection.ts";
import { UsageError, type Values } from "./verb.ts";

/** What names the servers and the user, from options or from a context of the `nats` command line. */
export interface ConnectionSettings {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly inbox_prefix?: string;
}

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

/** Tells of each loss of the connection until it is closed. */
async function tellLosses(
  connection: Connection,
  url: string,
  tell: ConnectOptions["tell"],
): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type === "disconnect") tell(`The connection to ${url} is lost: trying again`);
    if (type === "reconnect") tell(`The connection to ${url} is there again`);
  }
}

/** Why a connection failed, and what to look at. */
function reasonOf(cause: unknown): string {
  const { name } = cause as Error;
  const reason = messageOf(cause);
  const told = name === "TimeoutError" ? `no nats-server answers in ${TIMEOUT / 1000} s` : reason;
  return `${told}; look at --server and --context`;
}

/** The settings of the options, of `--context`, and of `NATS_URL`, in this order. */
export async function settingsOf(values: Values): Promise<ConnectionSettings> {
  const text = (name: string) => typeof values[name] === "string" ? values[name] : undefined;
  const name = text("context");
  const context = name === undefined ? {} : await readContext(name);
  const given = {
    ...{ url: text("server"), user: text("user"), creds: text("creds"), nkey: text("nkey") },
    ...{ cert: text("tlscert"), key: text("tlskey"), ca: text("tlsca") },
    ...{ inbox_prefix: text("inbox-prefix"), password: process.env.NATS_PASSWORD },
  };
  const known = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && value !== ""),
  );
  const fallback = { url: process.env.NATS_URL || "nats://127.0.0.1:4222" };
  return { ...fallback, ...context, ...known };
}

/** A context of the `nats` command line, from its folder. */
async function readContext(name: string): Promise<Partial<ConnectionSettings>> {
  if (!/^[\w.-]+$/.test(name)) throw new UsageError(`--context ${name} is no name of a context`);
  const folder = process.env.XDG_CONFIG_HOME || join(homedir(), ".config");
  const file = join(folder, "nats", "context", `${name}.json`);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new UsageError(`Cannot read context ${name}: there is no JSON file ${file}`, { cause });
  }
  if (!isRecord(content)) throw new UsageError(`Cannot read context ${name}: ${file} is no object`);
  return Object.fromEntries(
    Object.entries(content).filter(([, value]) => typeof value === "string" && value !== ""),
  );
}

async function optionsOf(settings: ConnectionSettings): Promise<NodeConnectionOptions> {
  const { url, user, password, creds, nkey, cert, key, ca, inbox_prefix } = settings;
  const authenticator = creds !== undefined
    ? credsAuthenticator(await bytesOf(creds))
    : nkey !== undefined
    ? nkeyAuthenticator(await bytesOf(nkey))
    : undefined;
  const tls = {
    ...(cert !== undefined && { certFile: cert }),
    ...(key !== undefined && { keyFile: key }),
    ...(ca !== undefined && { caFile: ca }),
  };
  return {
    servers: url.split(",").map((part) => part.trim()),
    name: "aether",
    timeout: TIMEOUT,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(authenticator !== undefined && { authenticator }),
    ...(Object.keys(tls).length > 0 && { tls }),
    ...(inbox_prefix !== undefined && { inboxPrefix: inbox_prefix }),
  };
}

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(file);
    const text = bytes.toString("utf8").trim();
    // The file of an NKey may hold more than the seed.
    const [seed] = /\bSU[A-Z0-9]{56}\b/.exec(text) ?? [];
    return text.includes("BEGIN NATS USER JWT") || seed === undefined
      ? new Uint8Array(bytes)
      : new TextEncoder().encode(seed);
  } catch (cause) {
    throw new UsageError(`Cannot read ${file}`, { cause });
  }
}
