/**
 * Tests that are left out name the reason: the last line of `deno task test` adds the reasons up.
 *
 * @module
 */

/** Why a test is left out, or false where it runs. */
export type Skip = string | false;

/** The options of a test that is left out if there is a reason, with which its name ends. */
export function unlessSkipped(
  name: string,
  skip: Skip,
): { readonly name: string; readonly ignore: boolean } {
  return skip === false ? { name, ignore: false } : { name: `${name} (${skip})`, ignore: true };
}
