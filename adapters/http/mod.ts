/**
 * HTTP at the edge of a store, as functions on the types of Fetch, for any server or framework that
 * has these: errors as problem details, versions as `ETag` and `If-Match`, `Idempotency-Key`,
 * receipts, and server-sent events.
 *
 * @example What an actor's version and errors look like in HTTP
 * ```ts
 * import { VersionConflictError } from "@flowmade-one/aether";
 * import { etag, expectedVersion, problem } from "@flowmade-one/aether/http";
 *
 * const request = new Request("http://localhost/orders/1", { headers: { "If-Match": etag(3) } });
 * console.log(expectedVersion(request)); // 3
 * console.log(problem(new VersionConflictError("order-1", 4, 5), { request }).status); // 412
 * ```
 *
 * @module
 */

export { eventStream, type EventStreamOptions } from "./event_stream.ts";
export { jsonBody } from "./json_body.ts";
export { problem, type ProblemDetails, type ProblemOptions } from "./problem.ts";
export {
  accepted,
  type AcceptedOptions,
  type CommandReceipt,
  reached,
  type ReachedOptions,
  type ReadModel,
  type WaitingRequest,
} from "./receipt.ts";
export { RequestError } from "./request_error.ts";
export {
  commandId,
  type CommandIdOptions,
  etag,
  expectedVersion,
  type RequestHeaders,
} from "./request_headers.ts";
