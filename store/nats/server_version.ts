/** Whether a version of nats-server is `required` or newer. */
export function isAtLeast(version: string, required: string): boolean {
  const actual = version.split(/[.-]/).map(Number);
  const wanted = required.split(".").map(Number);
  for (const [at, number] of wanted.entries()) {
    const own = actual[at] ?? 0;
    if (own !== number) return own > number;
  }
  return true;
}

/** The versions from which on the guards of one batch are kept apart, in each line of releases. */
const APART = ["2.12.14", "2.14.4"] as const;

/** The fault of the versions before: nats-server issue 8376. */
export const MIXED_GUARDS = "nats-server before 2.12.14, and from 2.13 before 2.14.4, mixes up " +
  "guards of one batch whose subjects are equally long";

/**
 * The version that a server needs so that one batch may have several guards; `undefined` if it has
 * it. Versions 2.12.0 to 2.12.12 and 2.14.0 to 2.14.3 keep the subject of a guard in memory that
 * the next message of the batch overwrites.
 */
export function neededForGuards(version: string): string | undefined {
  if (!/^\d/.test(version)) return undefined; // Not known.
  const needed = isAtLeast(version, "2.13.0") ? APART[1] : APART[0];
  return isAtLeast(version, needed) ? undefined : needed;
}
