import { isAetherError } from "../errors.ts";
import { ID, PREVIOUS, SIZES, VERSION, VERSIONS } from "../format/headers.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import { StoredRun } from "../read/stored_run.ts";
import type { Findings } from "./findings.ts";

/**
 * The events of an actor's message if its headers add up and fit its body; else `undefined`, and
 * the problem is in `findings`.
 */
export function soundRun(
  message: StoredMessage,
  actorId: string,
  findings: Findings,
): StoredRun | undefined {
  const place = { sequence: message.sequence, actorId };
  const what = `message ${message.sequence} of "${actorId}"`;
  const size = misfit(message);
  if (size !== undefined) {
    findings.add(
      "body-size",
      place,
      `the sizes of ${what} add up to ${size}, and its body has ` +
        `${message.data.length} bytes`,
    );
    return undefined;
  }
  const order = disorder(message);
  if (order !== undefined) {
    findings.add("version-order", place, `the versions of ${what} do not grow: ${order}`);
    return undefined;
  }
  try {
    const run = new StoredRun(message);
    run.check();
    return run;
  } catch (error) {
    if (!isAetherError(error, "CorruptEventError")) throw error;
    findings.add("headers", place, `the headers of ${what} do not add up: ${error.message}`);
    return undefined;
  }
}

/** The sum of the sizes if it is not the body's. */
function misfit(message: StoredMessage): number | undefined {
  const sizes = message.header(SIZES);
  if (!/^\d+( \d+)*$/.test(sizes)) return undefined;
  const sum = sizes.split(" ").reduce((sum, size) => sum + Number(size), 0);
  return sum === message.data.length ? undefined : sum;
}

/** The versions of a message with events if they do not grow. */
function disorder(message: StoredMessage): string | undefined {
  if (message.header(ID) === "") return undefined;
  const previous = numberIn(message, PREVIOUS);
  const version = numberIn(message, VERSION);
  if (previous === undefined || version === undefined) return undefined;
  const listed = message.header(VERSIONS);
  const versions = /^\d+( \d+)*$/.test(listed) ? listed.split(" ").map(Number) : [version];
  const all = [previous, ...versions];
  const grows = all.every((it, at) => at === 0 || it > all[at - 1]!);
  return grows ? undefined : `${versions.join(", ")} after ${previous}`;
}
