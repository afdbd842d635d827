import { decodeUtf8 } from "./utf8.ts";

const encoder = /* @__PURE__ */ new TextEncoder();
const strict = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true });

/** A value as JSON in UTF-8. */
export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/**
 * The value in `body`, JSON in UTF-8.
 *
 * @throws {SyntaxError} It is not JSON.
 * @throws {TypeError} It is not UTF-8.
 */
export function decodeJson(body: Uint8Array): unknown {
  // The strict decoder takes half as long again: only bytes that may be broken go through it.
  const text = decodeUtf8(body);
  return JSON.parse(text.includes("\ufffd") ? strict.decode(body) : text);
}

/** The value in `body`; `undefined` if it is not JSON in UTF-8: anybody may have written it. */
export function jsonIn(body: Uint8Array): unknown {
  try {
    return decodeJson(body);
  } catch {
    return undefined;
  }
}

/** Whether a value of JSON is an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
