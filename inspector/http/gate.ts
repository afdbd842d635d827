import { isRecord } from "../../store/base/json.ts";
import { Refusal } from "./refusal.ts";

/** Bytes that the body of a request may have. */
const MOST_BYTES = 64 * 1024;
/** How long a body may take to arrive, in ms. */
const PATIENCE = 10_000;
/** Characters of a token: fewer can be guessed. */
const LEAST_TOKEN = 16;

/** Decides which requests are answered at all: by their host, origin, form and token. */
export class Gate {
  readonly #hosts: ReadonlySet<string>;
  readonly #token: Promise<Uint8Array> | undefined;

  /**
   * Lets requests to loopback names pass, and those to `hosts`.
   *
   * @throws {TypeError} There are actions and no token, or a host is none.
   * @throws {RangeError} The token is short, or has spaces or other characters than ASCII.
   */
  constructor(hosts: readonly string[], actions: boolean, token: string | undefined) {
    if (actions && (typeof token !== "string" || token === "")) {
      throw new TypeError("Cannot make an inspector with actions: token is missing; give one");
    }
    if (token !== undefined && (token.length < LEAST_TOKEN || !/^[\x21-\x7e]+$/.test(token))) {
      throw new RangeError(
        `Cannot make an inspector: token is not ${LEAST_TOKEN} or more visible ASCII characters`,
      );
    }
    this.#hosts = new Set(hosts.map((host) => {
      const name = nameIn(host);
      if (name !== undefined) return name;
      throw new TypeError(`Cannot make an inspector: host ${JSON.stringify(host)} is no host name`);
    }));
    if (actions) {
      this.#token = digestOf(token!);
      this.#token.catch(() => {}); // Whoever needs it awaits it.
    }
  }

  /**
   * Passes if the request is to a name of this server, and from no page of another origin: a name of
   * somebody else may lead here, and a page may send what its reader may send.
   *
   * @throws {Refusal} 403.
   */
  admit(request: Request): void {
    const host = request.headers.get("host") ?? new URL(request.url).host;
    const name = nameIn(host);
    if (name === undefined || !(isLoopback(name) || this.#hosts.has(name))) {
      throw new Refusal(403, "This host is not one of the inspector's: give it as `hosts`");
    }
    const origin = request.headers.get("origin");
    if (origin !== null && !isOriginOf(origin, host)) {
      throw new Refusal(403, "The inspector answers no page of another origin");
    }
    const site = request.headers.get("sec-fetch-site");
    const isOwn = site === null || site === "same-origin" ||
      // Typed into the address bar, or a bookmark.
      (site === "none" && request.method !== "POST");
    if (!isOwn) throw new Refusal(403, "The inspector answers no page of another site");
  }

  /**
   * Passes if the request carries the token.
   *
   * @throws {Refusal} 403: there are no actions; 401: the token is missing or wrong.
   */
  async authorize({ headers }: Request): Promise<void> {
    if (this.#token === undefined) {
      throw new Refusal(403, "Actions are off: make the inspector with actions and a token");
    }
    const [, given] = /^Bearer ([^\s]+)$/i.exec(headers.get("authorization") ?? "") ?? [];
    // Digests have one length, and are compared to their end.
    const [wanted, own] = [await this.#token, await digestOf(given ?? "")];
    let difference = given === undefined ? 1 : 0;
    for (const [at, byte] of wanted.entries()) difference |= byte ^ own[at]!;
    if (difference !== 0) throw new Refusal(401, "The token is missing or wrong");
  }
}

/**
 * The body of a request: a JSON object.
 *
 * @throws {Refusal} 400, 408, 413 or 415.
 */
export async function bodyOf(request: Request): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new Refusal(415, "The body is not application/json");
  }
  const text = await textIn(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(400, "The body is no JSON");
  }
  if (!isRecord(value) || Array.isArray(value)) throw new Refusal(400, "The body is no object");
  return value;
}

async function textIn({ body, headers }: Request): Promise<string> {
  const tooLarge = () => new Refusal(413, `The body is over ${MOST_BYTES} bytes`);
  if (Number(headers.get("content-length") ?? 0) > MOST_BYTES) throw tooLarge();
  if (body === null) return "";
  const reader = body.getReader();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Refusal(408, `The body did not arrive within ${PATIENCE} ms`)),
    PATIENCE,
  );
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  try {
    for (;;) {
      const { value, done } = await Promise.race([reader.read(), late.promise]);
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > MOST_BYTES) throw tooLarge();
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    reader.cancel().catch(() => {}); // Nobody reads the rest.
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The name in a `Host` header, lower case and without its port; `undefined` if it is none. */
function nameIn(host: string): string | undefined {
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i.test(host)) return undefined;
  return host.replace(/:\d{1,5}$/, "").toLowerCase();
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Whether an `Origin` header names the host itself; a proxy in front may have another scheme. */
function isOriginOf(origin: string, host: string): boolean {
  const [, own] = /^https?:\/\/([^/]+)$/i.exec(origin) ?? [];
  return own?.toLowerCase() === host.toLowerCase();
}

async function digestOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
