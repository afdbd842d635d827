import { isInstance } from "./text.ts";

/** Whether two byte arrays are of the same content; nothing is like `undefined`. */
export function isSameBytes(left: Uint8Array, right: Uint8Array | undefined): boolean {
  return left.length === right?.length && left.every((byte, at) => byte === right[at]);
}

/** `slice()` of typed arrays, which copies: that of a `Buffer` of Node gives a view of the same bytes. */
const slice = /* @__PURE__ */ sliceOfAll();

function sliceOfAll(): Uint8Array["slice"] {
  return (Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array).slice;
}

/** A copy, of the same type; also of a `Buffer`. */
export function copyBytes<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  return Reflect.apply(slice, bytes, []) as Bytes;
}

/** The bytes of a buffer, or of a view of one; `undefined` for anything else. */
export function bytesOf(value: object): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  const isBuffer = value instanceof ArrayBuffer || isInstance(value, globalThis.SharedArrayBuffer);
  return isBuffer ? new Uint8Array(value) : undefined;
}
