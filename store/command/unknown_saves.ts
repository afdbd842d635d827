import type { PlannedCommand } from "./plan.ts";
import { SaveOutcomeUnknownError, type SettledOutcome, StoreUnavailableError } from "../errors.ts";

/**
 * The tries to save the same events that ended without an answer. Any of them may have stored
 * the events, so only all of them together say what has become of the save.
 */
export class UnknownSaves {
  readonly #errors: SaveOutcomeUnknownError[] = [];
  #outcome: SettledOutcome | undefined;

  /** Whether there is any. */
  get exists(): boolean {
    return this.#errors.length > 0;
  }

  /** One more try without an answer. */
  add(error: SaveOutcomeUnknownError): void {
    this.#errors.push(error);
  }

  /** A later try has told the outcome of all. */
  end(outcome: "saved" | "not-saved"): void {
    this.#outcome = outcome;
  }

  /** What the caller of `command` is told when there is no time to find out. */
  errorFor({ job, outcome }: PlannedCommand, cause: unknown): Error {
    const first = "result" in outcome ? outcome.result.events[0] : undefined;
    if (first !== undefined) {
      const { actorId, version } = first;
      return new SaveOutcomeUnknownError(actorId, version, () => this.#settle(), { cause });
    }
    return new StoreUnavailableError(
      `Cannot execute the command on "${job.actorId}": it depends on an earlier one, and whether ` +
        "that was saved is not known; nothing was saved by this one",
      { cause },
    );
  }

  async #settle(): Promise<SettledOutcome> {
    let isOpen = false;
    for (const error of this.#errors) {
      if (this.#outcome !== undefined) return this.#outcome;
      const outcome = await error.settle();
      if (outcome === "saved") return outcome;
      isOpen ||= outcome === "unknown";
    }
    return this.#outcome ?? (isOpen ? "unknown" : "not-saved");
  }
}
