const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder();

/** Bytes that are allocated at once. */
const SLAB = 32 * 1024;
/** The most bytes that one UTF-16 unit takes. */
const WIDEST = 3;

let slab = /* @__PURE__ */ new Uint8Array(SLAB);
let used = 0;

/**
 * The UTF-8 bytes of `text`, a part of a larger buffer: allocating a buffer for each of many short
 * texts takes longer than encoding them.
 */
export function utf8(text: string): Uint8Array {
  const most = text.length * WIDEST;
  if (most > SLAB / 4) return encoder.encode(text);
  if (used + most > SLAB) {
    slab = new Uint8Array(SLAB);
    used = 0;
  }
  const bytes = slab.subarray(used, used + encoder.encodeInto(text, slab.subarray(used)).written);
  used += bytes.length;
  return bytes;
}

/** The text in `bytes`; U+FFFD replaces bytes that are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
