import { positionOf, type StreamSequence } from "../format/position.ts";
import type { VerifyProblem, VerifyRule } from "./report.ts";

/** The place of a problem, and the actor that it is about. */
export interface Place {
  readonly sequence: StreamSequence;
  /** The index of the event in its message. @default {0} */
  readonly index?: number;
  readonly actorId?: string | undefined;
}

/** Collects problems: the first ones in full, the others by their number. */
export class Findings {
  readonly problems: VerifyProblem[] = [];
  /** How many there are, those that are not kept too. */
  count = 0;
  readonly #limit: number;

  /** Keeps at most `limit`. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a problem; `advice` replaces the usual one of the rule. */
  add(
    rule: VerifyRule,
    { sequence, index = 0, actorId }: Place,
    message: string,
    advice: string = ADVICE[rule],
  ): void {
    this.count++;
    if (this.problems.length >= this.#limit) return;
    this.problems.push({
      rule,
      sequence: positionOf(sequence, index),
      streamSequence: sequence,
      ...(actorId !== undefined && { actorId }),
      message,
      advice,
    });
  }
}

const WRITER = "find out which program publishes to the subjects of the store and revoke its " +
  "permission; read what is sound by getEventsWithErrors(), and go on under another actor id";
const LOSS = "find out whether somebody deleted or purged messages, or a disk lost them; restore " +
  "the stream from a backup that has them";

/** The next step if a rule is broken. */
const ADVICE: Readonly<Record<VerifyRule, string>> = {
  "genesis": "do not write to this stream; restore it from a backup that has its genesis message",
  "foreign-message": WRITER,
  "headers": WRITER,
  "body-size": WRITER,
  "version-order": WRITER,
  "broken-chain": LOSS,
  "unreadable-event": "open the store with the codec, the keys and the upcasters that it was " +
    "saved with; if that is so, read what is sound by getEventsWithErrors()",
  "body-mismatch": WRITER,
  "duplicate-id": "see that each event is created with an id of its own, and that a save is " +
    "repeated at the same versions; projections may have handled the event twice",
  "torn-commit": LOSS,
  "receipt": WRITER,
  "hole": LOSS,
  "fence": 'find out which node wrote it; a store in mode "optimistic" may write after it was ' +
    'deposed, one in mode "fenced" never does',
  "snapshot":
    "delete the actor's snapshots of this schema, or raise schemaVersion; then see that " +
    "evolve() is pure and was not changed without a new schemaVersion",
  "checkpoint": "rebuild the projection, or resume it at a position of this store",
};
