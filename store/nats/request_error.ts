/** Why a request has no answer. */
export type RequestFailure =
  /** Nothing was sent, for there is no connection at the moment. */
  | "disconnected"
  /** Sent, then the connection broke; it may have arrived. */
  | "interrupted"
  /** Sent, and no answer came in time; it may have arrived. */
  | "timeout"
  /** Nobody listens: this request reached nothing. */
  | "no responders"
  /** The server forbids it: this request reached nothing. */
  | "denied"
  /** The connection is closed or drained for good; what was sent may have arrived. */
  | "closed";

/** Thrown when a request has no answer. */
export class RequestError extends Error {
  /** What happened. */
  readonly failure: RequestFailure;
  /** Whether the request may have reached a server all the same. */
  readonly maybeSent: boolean;

  /** Keeps the failure. */
  constructor(
    failure: RequestFailure,
    subject: string,
    maybeSent: boolean,
    options?: ErrorOptions,
  ) {
    super(`Request on "${subject}" has no answer: ${failure}`, options);
    this.name = "WireError";
    this.failure = failure;
    this.maybeSent = maybeSent;
  }
}
