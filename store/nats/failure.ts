import { reasonOf } from "../base/reason.ts";
import { isInstance } from "../base/text.ts";
import { unavailable } from "../check/refusals.ts";
import { isAetherError, StoreRefusedError, StoreUnavailableError } from "../errors.ts";
import { isOneTooMany, RequestError } from "./request_error.ts";
import { ApiError } from "./stream_api.ts";
import { adviceFor, isPassingCode, isSizeCode } from "./server_code.ts";
import { TwinError } from "./twin.ts";

/** Advice about a connection that has as many subscriptions as it may have. */
const FEWER = "raise max_subscriptions of the server, or of the account, or end other " +
  "subscriptions of the connection";

/**
 * The error of a call that has failed for `cause`: a {@linkcode StoreRefusedError} if no other try
 * can help, with what can; else a {@linkcode StoreUnavailableError}.
 *
 * @param what What could not be done: `Cannot ${what}`.
 * @param outcome What that means for the caller: whether anything was saved.
 */
export function failed(
  what: string,
  cause: unknown,
  outcome?: string,
): StoreRefusedError | StoreUnavailableError {
  const advice = adviceAbout(cause);
  const end = outcome === undefined ? "" : `; ${outcome}`;
  const message = `Cannot ${what}: ${reasonOf(cause)}`;
  if (advice === undefined) return new StoreUnavailableError(`${message}${end}`, { cause });
  const code = cause instanceof ApiError && cause.code > 0 ? cause.code : undefined;
  return new StoreRefusedError(`${message}${end}; ${advice}`, advice, code, { cause });
}

/** The same for a save that is certainly not stored; `event` is its first. */
export function notSaved(
  event: { readonly actorId: string; readonly version: number },
  cause: unknown,
): StoreRefusedError | StoreUnavailableError {
  if (adviceAbout(cause) === undefined) return unavailable(event, cause);
  const what = `save event at version ${event.version} of "${event.actorId}"`;
  return failed(what, cause, "nothing was saved");
}

/** Advice about a failure that no other try can cure; `undefined` if one may. */
export function adviceAbout(cause: unknown): string | undefined {
  try {
    return adviceOn(cause);
  } catch {
    return undefined; // The reason of a signal may be anything: a getter or a proxy that throws.
  }
}

function adviceOn(cause: unknown): string | undefined {
  if (cause instanceof RequestError) {
    if (isOneTooMany(cause.cause)) return FEWER;
    return cause.failure === "denied" || isViolation(cause.cause)
      ? "give the connection's user that permission: see docs/permissions.md"
      : undefined;
  }
  if (cause instanceof ApiError) {
    return isPassingCode(cause.code, cause.status) ? undefined : adviceFor(cause.code);
  }
  if (cause instanceof TwinError) {
    return "give `domain` of the stream that is meant, or keep the other one's subjects apart, then " +
      "open it again";
  }
  return isOversized(cause)
    ? "raise max_payload of the server, or send less in one message"
    : undefined;
}

/** Whether nats.js has thrown this before it sent: the payload is larger than the server takes. */
function isOversized(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === "InvalidArgumentError";
}

/** Whether the server has told the client that it may not do this. */
function isViolation(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === "PermissionViolationError";
}

/** The error of a node that may not subscribe to its own subjects: others could not reach it. */
export function notHeard(cause: Error): StoreRefusedError {
  const advice = isOneTooMany(cause)
    ? FEWER
    : "give the connection's user the right to subscribe to the node's subjects: see " +
      "docs/permissions.md";
  const message = `Cannot join: the node cannot be reached, ${cause.message}; ${advice}`;
  return new StoreRefusedError(message, advice, undefined, { cause });
}

/** The error of a node that may not answer requests that come from `inbox`. */
export function notAnswered(inbox: string, cause: Error): StoreRefusedError {
  const advice =
    "give the connection's user the right to publish to the inboxes of the other nodes, " +
    "or to answer by allow_responses: see docs/permissions.md";
  const message = `Cannot answer other nodes: the server takes nothing for "${inbox}.>"; ${advice}`;
  return new StoreRefusedError(message, advice, undefined, { cause });
}

/** Whether the server did not do what was asked, for a while or until somebody changes a setting. */
export function isOutOfReach(error: unknown): boolean {
  return isAetherError(error, "StoreUnavailableError") || isAetherError(error, "StoreRefusedError");
}

/** Whether a refusal is of the connection's user, who lacks a permission: others may have it. */
export function isForbidden(error: unknown): boolean {
  if (!isAetherError(error, "StoreRefusedError")) return false;
  const { cause } = error;
  return isInstance(cause, RequestError) && !isOneTooMany(cause.cause) &&
    (cause.failure === "denied" || isViolation(cause.cause));
}

/** Whether a refusal is of one save, which is too large: smaller ones are stored. */
export function isTooLarge(error: unknown): boolean {
  if (!isAetherError(error, "StoreRefusedError")) return false;
  const { serverCode, cause } = error;
  return serverCode === undefined ? isOversized(cause) : isSizeCode(serverCode);
}

/** Whether something failed because the connection is closed or drained: nothing will bring it back. */
export function isClosed(error: unknown): boolean {
  try {
    for (let it = error, depth = 0; depth < 8 && typeof it === "object" && it !== null; depth++) {
      const { name, failure, cause } = it as Record<"name" | "failure" | "cause", unknown>;
      if (name === "RequestError" && failure === "closed") return true;
      if (name === "ClosedConnectionError" || name === "DrainingConnectionError") return true;
      it = cause;
    }
  } catch {
    // A getter or a proxy that throws: no error of a client.
  }
  return false;
}
