import { problemOf } from "../../adapters/http/problem.ts";
import { isAetherError } from "../../store/errors.ts";

/** Thrown for a request that is refused; the answer is a problem with this status and message. */
export class Refusal extends Error {
  /** The status of the answer. */
  readonly status: number;

  /** Keeps the status. */
  constructor(status: number, message: string) {
    super(message);
    this.name = "Refusal";
    this.status = status;
  }
}

/**
 * The status of an error whose message the client gets: a refusal, and what the store says, as whoever
 * may ask may know. `undefined` for any other error.
 */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof Refusal) return error.status;
  return isAetherError(error) ? problemOf(error).details.status : undefined;
}
