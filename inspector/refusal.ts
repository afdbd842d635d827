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

/** The status of a refusal; `undefined` for any other error. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Refusal ? error.status : undefined;
}
