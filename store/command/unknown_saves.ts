import type { PlannedCommand } from "./plan.ts";
import {
  isAetherError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreUnavailableError,
  type VersionConflictError,
} from "../errors.ts";
import type { Event } from "../event.ts";

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

  /**
   * Saves, and again until the outcome is known; gives the conflict if one has certainly prevented the
   * save. `save` is told whether an earlier try may have stored the events. `pause` waits after a try
   * without an answer, or throws if nobody waits any more.
   *
   * @throws Whatever `save` throws, if nothing can be stored.
   */
  async run<Receipt>(
    save: (isAgain: boolean) => Promise<Receipt>,
    pause: (error: unknown) => Promise<void>,
  ): Promise<{ readonly receipt: Receipt } | { readonly conflict: VersionConflictError }> {
    for (;;) {
      try {
        const receipt = await save(this.exists);
        this.end("saved");
        return { receipt };
      } catch (error) {
        if (isAetherError(error, "VersionConflictError")) {
          this.end("not-saved");
          return { conflict: error };
        }
        if (isAetherError(error, "SaveOutcomeUnknownError")) this.add(error);
        else if (!this.exists) throw error;
        // Nothing else may be decided until the outcome of this save is known.
        await pause(error);
      }
    }
  }

  /** The error for a caller whose events begin with `first`, when there is no time to find out. */
  error({ actorId, version }: Event, cause: unknown): SaveOutcomeUnknownError {
    return new SaveOutcomeUnknownError(actorId, version, () => this.#settle(), { cause });
  }

  /** The error for the caller of `command` when there is no time to find out. */
  errorFor({ job, outcome }: PlannedCommand, cause: unknown): Error {
    const first = "result" in outcome ? outcome.result.events[0] : undefined;
    if (first !== undefined) return this.error(first, cause);
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
