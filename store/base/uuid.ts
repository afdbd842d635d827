import { encodeJson } from "./json.ts";

/** Each byte as two hexadecimal digits. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * A new UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits,
 * so that ids sort by the time they were made, to the millisecond.
 *
 * @param now Milliseconds since 1970; passed in by tests that own time.
 */
export function uuidv7(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(now / 2 ** 32));
  view.setUint32(2, now >>> 0);
  return format(bytes, 7);
}

/**
 * A UUIDv8 (RFC 9562, section 5.8) that is the same for the same parts: 122 bits of the SHA-256 of
 * their JSON, which keeps apart what joined text would not.
 */
export async function uuidv8(parts: readonly (string | number)[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(encodeJson(parts)));
  return format(new Uint8Array(digest, 0, 16), 8);
}

/** Sets the version and the variant, and writes the bytes as text. */
function format(bytes: Uint8Array, version: number): string {
  bytes[6] = (bytes[6]! & 0x0f) | (version << 4);
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let text = "";
  for (let at = 0; at < 16; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += "-";
    text += HEX[bytes[at]!];
  }
  return text;
}
