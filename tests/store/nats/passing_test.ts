import { assertEquals } from "@std/assert";
import { errors, RequestError as ClientRequestError } from "@nats-io/nats-core";
import { JetStreamApiError } from "@nats-io/jetstream";
import { failed } from "../../../store/nats/failure.ts";
import { RequestError } from "../../../store/nats/request_error.ts";
import { ApiError, isPassing } from "../../../store/nats/stream_api.ts";

/** An error of nats.js's JetStream, which does not export all of its classes. */
function jetStream(name: string, fields: Record<string, unknown> = {}): Error {
  return Object.assign(new Error(name), { name, ...fields });
}

const NO_RESPONDERS = new errors.NoRespondersError("subject");

const PASSING: Record<string, unknown> = {
  "our own 503": new ApiError({ code: 503 }),
  "our own timeout": new RequestError("timeout", "subject", true),
  "a status of 503": jetStream("JetStreamStatusError", { code: 503 }),
  "a deleted consumer": jetStream("JetStreamStatusError", { code: 409 }),
  "nobody who listens": NO_RESPONDERS,
  "nobody who listens, as the cause": new ClientRequestError("failed", { cause: NO_RESPONDERS }),
  "nobody who listens, deep down": new Error("outer", {
    cause: new Error("inner", { cause: new errors.TimeoutError() }),
  }),
  "an API in trouble": new JetStreamApiError({
    code: 503,
    err_code: 10008,
    description: "",
  }),
  "an API out of reach": jetStream("JetStreamNotEnabled"),
  "another write of the subject in flight": new ApiError({ code: 400, err_code: 10164 }),
  "a batch that was dropped": new ApiError({ code: 400, err_code: 10176 }),
  "a batch too many": new ApiError({ code: 400, err_code: 10210 }),
};

const cyclic = new Error("cyclic");
cyclic.cause = cyclic;

const FINAL: Record<string, unknown> = {
  "a limit": new JetStreamApiError({ code: 400, err_code: 10026, description: "" }),
  "a closed connection": new errors.ClosedConnectionError(),
  "a right that is missing": new errors.PermissionViolationError("no", "publish", "subject"),
  "a right that is missing, as the cause": new Error("jetstream is not enabled", {
    cause: new errors.PermissionViolationError("no", "publish", "subject"),
  }),
  "a signal's time limit": new DOMException("over", "TimeoutError"),
  "no error": undefined,
  "an error of the program": new TypeError("undefined is not a function"),
  "an error that is its own cause": cyclic,
};

Deno.test("Passing trouble is known by names and codes, also as the cause of another error", () => {
  for (const [what, error] of Object.entries(PASSING)) assertEquals(isPassing(error), true, what);
  for (const [what, error] of Object.entries(FINAL)) assertEquals(isPassing(error), false, what);
});

Deno.test("Passing trouble is never reported as a refusal, and lasting trouble of the server is", () => {
  for (const [what, error] of Object.entries(PASSING)) {
    assertEquals(failed("save", error).name, "StoreUnavailableError", what);
  }
  for (const error of [new ApiError({ code: 400, err_code: 10026 }), new ApiError({ code: 400 })]) {
    assertEquals(failed("save", error).name, "StoreRefusedError");
  }
});

Deno.test("Control: a copy of nats.js that has other classes is known all the same", () => {
  class NoRespondersError extends Error {
    override name = "NoRespondersError";
  }
  assertEquals(isPassing(new NoRespondersError()), true);
});
