/** Why a request has no answer. */
export type RequestFailure =
  /** Nothing was sent, because there is no connection at the moment. */
  | "disconnected"
  /** Sent, then the connection broke; it may have arrived. */
  | "interrupted"
  /** Sent, and no answer came in time; it may have arrived. */
  | "timeout"
  /** Nobody listens: this request reached nobody. */
  | "no responders"
  /** The server forbids it, so that it reached nobody; or refuses to deliver its answer. */
  | "denied"
  /** The connection is closed or drained permanently; the request may have arrived. */
  | "closed";

/** Thrown when a request has no answer. */
export class RequestError extends Error {
  /** The reason. */
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
    this.name = "RequestError";
    this.failure = failure;
    this.maybeSent = maybeSent;
  }
}

/** Whether the server has refused a subscription, as the connection has as many as it may have. */
export function isOneTooMany(error: unknown): boolean {
  const { message } = Object(error) as { message?: unknown };
  return typeof message === "string" && /maximum( \w+)? subscriptions exceeded/i.test(message);
}
