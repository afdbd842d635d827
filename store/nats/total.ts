import { callHook } from "../base/hook.ts";

/**
 * A callback that never throws, for nats.js to call: it calls while it reads from the connection,
 * and an error that reaches it ends that reading permanently, for all that share the connection.
 * The error is printed.
 *
 * @param what The callback, for the message.
 */
export function total<Args extends unknown[]>(
  what: string,
  callback: (...args: Args) => unknown,
): (...args: Args) => void {
  return (...args) => callHook(what, () => callback(...args));
}
