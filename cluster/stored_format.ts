import { isRecord, jsonIn } from "../store/base/json.ts";

/**
 * Versions of views and maps are below this: somebody else's number must not leave no room for the
 * ones that follow.
 */
export const MAX_STORED_VERSION: number = 2 ** 48;

/**
 * Whether a later version of this library has written `body`. Then it is not to be replaced, as
 * what is damaged or foreign is.
 */
export function isOfLaterFormat(body: Uint8Array, format: number): boolean {
  const stored = jsonIn(body);
  return isRecord(stored) && Number.isSafeInteger(stored.format) &&
    (stored.format as number) > format;
}
