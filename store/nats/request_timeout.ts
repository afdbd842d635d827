/** How long one request may take, in ms, of a call that may take `timeout` ms: time for others is left. */
export function requestTimeoutOf(timeout: number): number {
  return timeout / 5;
}
