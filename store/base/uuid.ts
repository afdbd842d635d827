import { encodeJson } from "./json.ts";

/** Bytes of a UUID. */
const SIZE = 16;

/** Each byte as two hexadecimal digits. */
const HEX = /* @__PURE__ */ Array.from(
  { length: 256 },
  (_, byte) => byte.toString(16).padStart(2, "0"),
);

/** Random bytes for the next ids: asking for few at a time costs more than all else of an id. */
const pool = /* @__PURE__ */ new Uint8Array(4096);
let taken = pool.length;

/**
 * A new UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits,
 * so that ids sort by the time they were made, to the millisecond.
 *
 * @param now Milliseconds since 1970; passed in by tests that own time.
 */
export function uuidv7(now: number = Date.now()): string {
  if (taken === pool.length) {
    crypto.getRandomValues(pool);
    taken = 0;
  }
  const from = taken;
  taken += SIZE;
  const [high, low] = [Math.floor(now / 2 ** 32), now >>> 0];
  pool[from] = high >>> 8;
  pool[from + 1] = high;
  pool[from + 2] = low >>> 24;
  pool[from + 3] = low >>> 16;
  pool[from + 4] = low >>> 8;
  pool[from + 5] = low;
  return format(pool, from, 7);
}

/**
 * A UUIDv8 (RFC 9562, section 5.8) that is the same for the same parts: 122 bits of the SHA-256 of
 * their JSON, which keeps apart what joined text would not.
 */
export async function uuidv8(parts: readonly (string | number)[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(encodeJson(parts)));
  return format(new Uint8Array(digest), 0, 8);
}

/** Sets the version and the variant of the 16 bytes at `from`, and writes them as text. */
function format(bytes: Uint8Array, from: number, version: number): string {
  bytes[from + 6] = (bytes[from + 6]! & 0x0f) | (version << 4);
  bytes[from + 8] = (bytes[from + 8]! & 0x3f) | 0x80;
  let text = "";
  for (let at = 0; at < SIZE; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += "-";
    text += HEX[bytes[from + at]!];
  }
  return text;
}
