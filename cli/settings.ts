import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { isRecord } from "../store/base/json.ts";
import { UsageError, type Values } from "./verb.ts";

/** What names the servers and the user, from options or from a context of the `nats` command line. */
export interface ConnectionSettings {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly inbox_prefix?: string;
}

/**
 * The settings of the options, of `--context`, and of `NATS_URL`, in this order. The login of a URL
 * counts more than they do, and is no longer in the URL.
 */
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
  return withLogin({ ...fallback, ...context, ...known });
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

/** Takes `user:password@` or `token@` out of the URLs: nats.js would pass over it, and errors show it. */
function withLogin(settings: ConnectionSettings): ConnectionSettings {
  let login: Partial<ConnectionSettings> = {};
  const urls = settings.url.split(",").map((part) => {
    const [, scheme = "", own, host] = /^(\w+:\/\/)?(.*)@([^@]*)$/.exec(part.trim()) ?? [];
    if (own === undefined) return part.trim();
    const [user = "", ...password] = own.split(":");
    login = password.length === 0
      ? { token: decoded(user) }
      : { user: decoded(user), password: decoded(password.join(":")) };
    return `${scheme}${host}`;
  });
  return { ...settings, url: urls.join(","), ...login };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // It has a % that encodes nothing.
  }
}
