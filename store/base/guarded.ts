import { freshCopy } from "./fresh.ts";
import { callHook } from "./hook.ts";

/** Called with an error, and with the event that it is about, if there is one. */
export type ErrorHook<About> = (error: unknown, about?: About) => void;

/**
 * The same hook of the user, which can do no harm: whatever it does stays with it, and it gets a
 * copy of what the error is about.
 *
 * @param what The hook, for the message: `onError of reactor "mail"`.
 */
export function guarded<About>(what: string, hook: ErrorHook<About>): ErrorHook<About> {
  return (error, about) => callHook(what, () => hook(error, freshCopy(about)));
}
