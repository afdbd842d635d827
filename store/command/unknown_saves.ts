import type { PlannedCommand } from "./plan.ts";
import { SaveOutcomeUnknownError, type SettledOutcome, StoreUnavailableError } from "../errors.ts";

/**
 * The tries to save the same events that ended without an answer. Any of them may have stored
 * the events, so only all of them together show the outcome of the save.
 */
export class UnknownSaves {
  readonly #errors: SaveOutcomeUnknownError[] = [];
  #outcome: SettledOutcome | undefined;

  /** Whether there is any. */
  get exists(): boolean {
    return this.#errors.length > 0;
  }

  /** Adds a try without an answer. */
  add(error: SaveOutcomeUnknownError): void {
    this.#errors.push(error);
  }

  /** Notes the outcome of all, which a later try has shown. */
  end(outcome: "saved" | "not-saved"): void {
    this.#outcome = outcome;
  }

  /** The error for the caller of `command` when there is no time to find out. */
  errorFor({ job, outcome }: PlannedCommand, cause: unknown): Error {
    const first = "result" in outcome ? outcome.result.events[0] : undefined;
    if (first !== undefined) {
      const { actorId, version } = first;
      return new SaveOutcomeUnknownError(actorId, version, () => this.#settle(), { cause });
    }
    return new StoreUnavailableError(
      `Cannot execute the command on "${job.actorId}": it depends on an earlier one, and ` +
        "whether that one was saved is unknown; this one saved nothing",
      { cause },
    );
  }

  async #settle(): Promise<SettledOutcome> {
    let isUnknown = false;
    for (const error of this.#errors) {
      if (this.#outcome !== undefined) return this.#outcome;
      const outcome = await error.settle();
      if (outcome === "saved") return outcome;
      isUnknown ||= outcome === "unknown";
    }
    return this.#outcome ?? (isUnknown ? "unknown" : "not-saved");
  }
}
