const encoder = /* @__PURE__ */ new TextEncoder();
// A byte order mark is a part of an id like any other.
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that one encoded token may take: NATS closes the connection over very long subjects. */
export const MAX_TOKEN_BYTES = 200;

/** How each byte is written that is not plain. */
const ESCAPED = /* @__PURE__ */ Array.from(
  { length: 256 },
  (_, byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`,
);

/** Text that needs no encoding. */
const PLAIN = /^[A-Za-z0-9_-]+$/;

/** Why `text` cannot be an id; `undefined` if it can. */
export function tokenProblem(text: unknown): string | undefined {
  if (typeof text !== "string") return `is not a string but ${describe(text)}`;
  if (text === "") return "is empty";
  if (PLAIN.test(text)) {
    return text.length > MAX_TOKEN_BYTES ? tooLong(text.length) : undefined;
  }
  if (!text.isWellFormed()) return "has a lone surrogate, which UTF-8 cannot carry";
  // One letter becomes nine at most: most ids need not be encoded to see that they fit.
  if (9 * text.length <= MAX_TOKEN_BYTES) return undefined;
  const length = escape(text).length;
  return length > MAX_TOKEN_BYTES ? tooLong(length) : undefined;
}

/**
 * One NATS subject token that represents `text` and nothing else: letters, digits, `_` and
 * `-` stay, every other UTF-8 byte becomes `=HH`. The same form is a legal KV key, stream name
 * and header value.
 *
 * @throws {RangeError} `text` is empty, not well-formed, or over 200 bytes when encoded.
 */
export function encodeToken(text: string): string {
  if (PLAIN.test(text) && text.length <= MAX_TOKEN_BYTES) return text;
  const problem = tokenProblem(text);
  if (problem !== undefined) {
    throw new RangeError(`Cannot encode ${describe(text)} as a subject token: it ${problem}`);
  }
  return escape(text);
}

/**
 * The text that {@linkcode encodeToken} was given.
 *
 * @throws {RangeError} `token` was not made by `encodeToken`.
 */
export function decodeToken(token: string): string {
  if (PLAIN.test(token)) return token;
  const bytes: number[] = [];
  for (let at = 0; at < token.length; at++) {
    if (token[at] === "=") {
      bytes.push(parseInt(token.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(token.charCodeAt(at));
    }
  }
  let text = "";
  try {
    text = decoder.decode(Uint8Array.from(bytes));
  } catch {
    // Not UTF-8: encodeToken() never makes such a token, so the comparison below refuses it.
  }
  if (text === "" || escape(text) !== token) {
    throw new RangeError(`Cannot decode subject token ${describe(token)}: it was not encoded here`);
  }
  return text;
}

/** A short, safe rendering of `value` for messages. */
export function describe(value: unknown): string {
  if (typeof value !== "string") return value === null ? "null" : typeof value;
  return value.length <= 80 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 80))}…`;
}

function escape(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/gu, (letter) => {
    const code = letter.charCodeAt(0);
    if (code < 0x80) return ESCAPED[code]!;
    let escaped = "";
    for (const byte of encoder.encode(letter)) escaped += ESCAPED[byte];
    return escaped;
  });
}

function tooLong(length: number): string {
  return `takes ${length} bytes when encoded, and ${MAX_TOKEN_BYTES} fit`;
}
