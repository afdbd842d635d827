/** Whether two byte arrays are of the same content; nothing is like `undefined`. */
export function isSameBytes(left: Uint8Array, right: Uint8Array | undefined): boolean {
  return left.length === right?.length && left.every((byte, at) => byte === right[at]);
}
