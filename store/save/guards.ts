import { UnsupportedServerError } from "../errors.ts";
import { EXPECT_SUBJECT } from "../format/headers.ts";
import type { HeaderLines } from "../nats/header_lines.ts";
import { MIXED_GUARDS, neededForGuards } from "../nats/server_version.ts";

/** Guards of one batch that are kept apart; of more, the spaces would outweigh the rest. */
const MOST_APART = 16;

/**
 * Keeps the guards of one batch apart on servers that mix up those whose subjects are equally
 * long: such a server compares what stands in the same place of two messages. Spaces before a
 * subject, which servers pass over, give each one a place and a length of its own.
 */
export class GuardPlaces {
  readonly #lengths = new Set<number>();
  readonly #places = new Set<number>();
  readonly #isApart: boolean;

  /** For a batch with `count` guards. */
  constructor(count: number) {
    this.#isApart = count > 1 && count <= MOST_APART;
  }

  /** Names the subject that a guard is on, as the next line of `headers`. */
  add(headers: HeaderLines, subject: string): void {
    let spaces = 0;
    if (this.#isApart) {
      const place = headers.length + EXPECT_SUBJECT.length + 2;
      while (this.#lengths.has(subject.length + spaces) || this.#places.has(place + spaces)) {
        spaces++;
      }
      this.#lengths.add(subject.length + spaces);
      this.#places.add(place + spaces);
    }
    headers.add(EXPECT_SUBJECT, " ".repeat(spaces) + subject);
  }
}

/**
 * Refuses several guards in one batch if the server is known to mix them up: on replicas it may not
 * hold a guard against what is in flight either, whatever the guards look like.
 *
 * @throws {UnsupportedServerError} The server mixes up guards.
 */
export function checkGuards(count: number, serverVersion: string): void {
  if (count < 2) return;
  const needed = neededForGuards(serverVersion);
  if (needed === undefined) return;
  throw new UnsupportedServerError(
    serverVersion,
    needed,
    "this save depends on several actors that it does not write, or writes several shards, and " +
      MIXED_GUARDS,
  );
}

/** The reason of a save that the server refuses again and again, and nothing shows why. */
export function unexplained(times: number, guards: number, serverVersion: string): Error {
  const refused =
    `the server (${serverVersion}) has refused it ${times} times, though all that it ` +
    "expects holds by the server's own answers";
  return new Error(
    guards < 2 ? refused : `${refused}; ${MIXED_GUARDS}: see that no server of the cluster is one`,
  );
}
