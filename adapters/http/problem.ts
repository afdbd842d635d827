import { needObject, needOptionalFunctions } from "../../store/base/given.ts";
import { callHook } from "../../store/base/hook.ts";
import { messageOf, nameOf } from "../../store/base/text.ts";
import { type AetherErrorCode, type AetherErrors, isAetherError } from "../../store/errors.ts";
import { needRequest, type RequestHeaders } from "./request_headers.ts";

/** Options for {@linkcode problem}. */
export interface ProblemOptions {
  /** The request: a conflict is 412 if it has `If-Match` or `If-None-Match`, otherwise 409. */
  readonly request?: RequestHeaders;
  /**
   * The status of an error of yours, such as a refusal of a decider: the answer then shows its
   * message. `undefined` leaves the error to the library. An error of a handler on another node
   * comes as `CommandFailedError`, and a recorded refusal as `CommandRefusedError`, with its name in
   * `failure`.
   *
   * @default {none is yours: 500, without its message}
   */
  readonly status?: (error: unknown) => number | undefined;
}

/** The body of an answer that {@linkcode problem} makes, as RFC 9457 has it. */
export interface ProblemDetails {
  /** The status's own words. */
  readonly title?: string;
  /** The status. */
  readonly status: number;
  /** The failure, said for a person. */
  readonly detail: string;
  /** The error's code, for a program: that of `isAetherError()`, or a name such as `RequestError`. */
  readonly code?: string;
  /** After a conflict: the version that the actor is at. */
  readonly currentVersion?: number;
  /** The position of the last event, if the command was handled before. */
  readonly sequence?: number;
}

/**
 * The answer to a request that failed: a status and problem details (RFC 9457). The answer names
 * the client's mistakes. It says nothing about the server's own, except whether to come back: log the
 * error.
 *
 * | Status        | Errors                                                                      |
 * | ------------- | --------------------------------------------------------------------------- |
 * | 400           | a header or a body that cannot be followed                                  |
 * | 409, 412      | `VersionConflictError`; 409: `CommandAlreadyHandledError`                   |
 * | 413, 422      | `EventTooLargeError`; `InvalidEventError`, `CommandRefusedError`            |
 * | 503, go again | the store is out of reach, or the owner of the actor is changing            |
 * | 504           | the outcome is unknown: go again with the same `Idempotency-Key`            |
 * | 500           | all others, what the store refuses for good among them                      |
 *
 * @example Answer a conflict
 * ```ts
 * import { VersionConflictError } from "@flowmade-one/aether";
 * import { problem } from "@flowmade-one/aether/http";
 *
 * const answer = problem(new VersionConflictError("order-7", 3, 5));
 * console.log(answer.status); // 409
 * console.log(await answer.json()); // { title: "Conflict", status: 409, code: …, currentVersion: 5, … }
 * ```
 */
export function problem(error: unknown, options: ProblemOptions = {}): Response {
  needObject(options, "answer", "options");
  needOptionalFunctions(options, ["status"], "answer");
  if (options.request !== undefined) needRequest(options.request, "answer");
  const { details, retryAfter } = problemOf(error, options);
  return new Response(JSON.stringify(details), {
    status: details.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...(retryAfter !== undefined && { "retry-after": `${retryAfter}` }),
    },
  });
}

/** The answer to an error. */
interface Answer {
  readonly status: number;
  readonly detail: string;
  /** More members of the body. */
  readonly facts?: Partial<ProblemDetails>;
}

/** A problem's body, and the seconds after which the same request may succeed. */
export interface Problem {
  readonly details: ProblemDetails;
  readonly retryAfter: number | undefined;
}

/** The problem that an error is. */
export function problemOf(error: unknown, { request, status }: ProblemOptions = {}): Problem {
  const own = status && statusFrom(status, error);
  const known = isAetherError(error) ? error : undefined;
  const code = known?.code ??
    (own === undefined && !isRequestError(error) ? undefined : nameOf(error));
  const answer = own !== undefined
    ? { status: own, detail: ownMessage(error) }
    : known !== undefined
    ? answerTo(known, request)
    : isRequestError(error)
    ? { status: error.status, detail: messageOf(error) }
    : BY_NAME.get(nameOf(error)) ?? FAILED;
  const title = TITLES[answer.status];
  return {
    details: {
      ...(title !== undefined && { title }),
      status: answer.status,
      detail: answer.detail,
      ...(code !== undefined && { code }),
      ...answer.facts,
    },
    retryAfter: own === undefined && answer.status === 503 ? 1 : undefined,
  };
}

function answerTo(
  error: AetherErrors[AetherErrorCode],
  request: RequestHeaders | undefined,
): Answer {
  if (!Object.hasOwn(ANSWERS, error.code)) return FAILED; // of a newer copy of the package
  const answer = ANSWERS[error.code] as (error: unknown) => Answer;
  const { status, ...rest } = answer(error);
  const isConditional = request?.headers.has("if-match") || request?.headers.has("if-none-match");
  const far = isAetherError(error, "CommandFailedError") ? error.failure.code : undefined;
  const isConflict = (far ?? error.code) === "VersionConflictError";
  return { ...rest, status: isConflict && isConditional ? 412 : status };
}

/** The status that the hook has for an error; `undefined` if it has none, or no error's one. */
function statusFrom(status: (error: unknown) => number | undefined, error: unknown) {
  let own: number | undefined;
  callHook("status of problem()", () => own = status(error));
  return Number.isInteger(own) && own! >= 400 && own! <= 599 ? own : undefined;
}

/** The message of the user's own error, also if it comes from another node or an earlier time. */
function ownMessage(error: unknown): string {
  if (isAetherError(error, "CommandFailedError") || isAetherError(error, "CommandRefusedError")) {
    return error.failure.message;
  }
  return messageOf(error);
}

/** Works over copies of the package, too. */
function isRequestError(error: unknown): error is { readonly status: number } {
  if (nameOf(error) !== "RequestError") return false;
  const { header, status } = error as { header?: unknown; status?: unknown };
  return typeof header === "string" && (status === 400 || status === 409);
}

const FAILED: Answer = { status: 500, detail: "The server failed" };
const UNKNOWN: Answer = {
  status: 504,
  detail: "The outcome is not known yet: send the same request again, with its Idempotency-Key",
};
const MOVING: Answer = { status: 503, detail: "The server is changing over: try again" };

const failed = (): Answer => FAILED;
const unknown = (): Answer => UNKNOWN;
const moving = (): Answer => MOVING;

const ANSWERS: { readonly [Code in AetherErrorCode]: (error: AetherErrors[Code]) => Answer } = {
  VersionConflictError: ({ currentVersion }) => ({
    status: 409,
    detail: `It was changed meanwhile: it is at version ${currentVersion}`,
    facts: { currentVersion },
  }),
  InvalidEventError: ({ reason }) => ({ status: 422, detail: `It cannot be stored: ${reason}` }),
  EventTooLargeError: ({ size, limit }) => ({
    status: 413,
    detail: `It takes ${size} bytes, and ${limit} fit`,
  }),
  CommandRefusedError: ({ failure }) => ({ status: 422, detail: failure.message }),
  CommandAlreadyHandledError: ({ receipt: { sequence } }) => ({
    status: 409,
    detail: "This command was handled before",
    facts: { sequence },
  }),
  // The handler's error, which came over the network, is the user's: see `status`.
  CommandFailedError: ({ failure: { code } }) => BY_CODE_ALONE.get(code ?? "") ?? FAILED,
  StoreUnavailableError: () => ({
    status: 503,
    detail: "The store is out of reach, and nothing was stored: try again",
  }),
  SaveOutcomeUnknownError: unknown,
  CommandOutcomeUnknownError: unknown,
  // Another process can do what this one cannot: it has taken over, or will have in a moment.
  FencedError: moving,
  LeaseLostError: moving,
  NodeReplacedError: moving,
  SubscriptionOverflowError: moving,
  // Somebody has to do something about these; coming back does not help.
  ActorElsewhereError: failed,
  CommandCrashedOwnersError: failed,
  CommandCycleError: failed,
  StoreRefusedError: failed,
  InvalidSnapshotError: failed,
  CorruptEventError: failed,
  StreamConfigError: failed,
  StreamRegressedError: failed,
  UnsupportedServerError: failed,
  UnknownSchemaError: failed,
  CheckpointConflictError: failed,
  CorruptCheckpointError: failed,
  PoisonEventError: failed,
  RebuildFailedError: failed,
};

/** Errors of another node that keep their meaning without their facts. */
const BY_CODE_ALONE: ReadonlyMap<string, Answer> = new Map<AetherErrorCode, Answer>([
  ["StoreUnavailableError", { status: 503, detail: "The store is out of reach: try again" }],
  ["SaveOutcomeUnknownError", UNKNOWN],
  ["CommandOutcomeUnknownError", UNKNOWN],
  ["VersionConflictError", { status: 409, detail: "It was changed meanwhile" }],
  ["InvalidEventError", { status: 422, detail: "It cannot be stored" }],
  ["CommandRefusedError", { status: 422, detail: "It was refused" }],
  ["CommandAlreadyHandledError", { status: 409, detail: "This command was handled before" }],
  ["EventTooLargeError", { status: 413, detail: "It is too large" }],
  ["FencedError", MOVING],
  ["LeaseLostError", MOVING],
  ["NodeReplacedError", MOVING],
  ["SubscriptionOverflowError", MOVING],
]);

/** Errors of the platform: a deadline of the request, and a server that is shutting down. */
const BY_NAME: ReadonlyMap<string, Answer> = new Map([
  ["TimeoutError", UNKNOWN],
  ["AbortError", MOVING],
]);

const TITLES: Readonly<Record<number, string | undefined>> = {
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  428: "Precondition Required",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
