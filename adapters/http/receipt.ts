import { needMethods, needObject } from "../../store/base/given.ts";
import { nameOf } from "../../store/base/text.ts";
import { etag, needRequest, type RequestHeaders } from "./request_headers.ts";
import { RequestError, shown } from "./request_error.ts";

/** The header that carries a position of the store, in answers and in requests. */
const POSITION = "Aether-Position";
/** The longest wait for a read model unless the caller says another, in ms. */
const TIMEOUT = 10_000;

/** The outcome of a command: the result of `execute()`, or the receipt of a save. */
export interface CommandReceipt {
  /** The position of its last event; 0 if nothing was stored. */
  readonly sequence: number;
  /** The actor's version after it. */
  readonly version?: number;
  /** Whether it was handled before. */
  readonly duplicate?: boolean;
}

/** A read model that can say when it has come to a position, such as a `Projection`. */
export interface ReadModel {
  /** Resolves when all events up to `sequence` are handled. */
  reached(
    sequence: number,
    options: { readonly signal?: AbortSignal; readonly timeout?: number },
  ): Promise<unknown>;
}

/** A request that can be waited for: a `Request`. */
export interface WaitingRequest extends RequestHeaders {
  /** Aborted when the client has gone. */
  readonly signal?: AbortSignal;
}

/** Options for {@linkcode accepted}. */
export interface AcceptedOptions {
  /** The request: if it says `Prefer: wait=5`, the answer waits up to 5 s for the read model. */
  readonly request?: WaitingRequest;
  /** The read model that the client will read. @default {the answer never waits} */
  readonly readModel?: ReadModel;
  /** The longest that a client may wait, in ms, whatever it prefers. @default {10_000} */
  readonly timeout?: number;
}

/**
 * The answer to a command that was handled: `202`, with the actor's version as `ETag`, and the
 * position of its last event as `Aether-Position`, which {@linkcode reached} takes. `200` if a read
 * model was waited for and has the events, or nothing was stored.
 *
 * The command is stored whatever becomes of the wait: if the read model fails, the answer is `202`,
 * and the projection reports its failure.
 *
 * @example Execute a command, and let the client wait for the read model
 * ```ts
 * import { type Decider, type Event, execute, InMemoryEventStore } from "@flowmade-one/aether";
 * import { accepted, commandId, expectedVersion, problem } from "@flowmade-one/aether/http";
 *
 * const counter: Decider<number, null, Event<"Counted", null>> = {
 *   initialState: () => 0,
 *   evolve: (count) => count + 1,
 *   decide: () => ({ eventType: "Counted", data: null }),
 * };
 * const store = new InMemoryEventStore();
 *
 * async function handle(request: Request): Promise<Response> {
 *   try {
 *     const [id, expected] = [commandId(request), expectedVersion(request)];
 *     const result = await execute(store, "counter-1", counter, null, {
 *       ...(id !== undefined && { commandId: id }),
 *       ...(expected !== undefined && { expectedVersion: expected }),
 *     });
 *     return await accepted(result, { request });
 *   } catch (error) {
 *     return problem(error, { request });
 *   }
 * }
 *
 * const headers = { "Idempotency-Key": "b5c1e4", "If-Match": '"0"' };
 * const post = () => handle(new Request("http://localhost/counter", { method: "POST", headers }));
 * console.log((await post()).headers.get("etag")); // "1"
 * console.log(await (await post()).json()); // { version: 1, duplicate: true, … }: handled once
 * await store[Symbol.asyncDispose]();
 * ```
 */
export async function accepted(
  receipt: CommandReceipt,
  { request, readModel, timeout = TIMEOUT }: AcceptedOptions = {},
): Promise<Response> {
  needObject(receipt, "answer", "receipt", "the result of a save or of execute()");
  if (request !== undefined) needRequest(request, "answer");
  const { sequence, version, duplicate } = receipt;
  const headers = new Headers({ [POSITION]: `${sequence}` });
  if (version !== undefined) headers.set("etag", etag(version));
  const preferred = readModel && request && preferredWait(request.headers.get("prefer"));
  let isReached = sequence === 0;
  const wait = Math.min((preferred ?? 0) * 1_000, timeout);
  if (!isReached && wait > 0) {
    headers.set("preference-applied", `wait=${preferred}`);
    isReached = await hasReached(readModel!, sequence, request!, wait).catch(() => false);
  }
  const body = {
    sequence,
    ...(version !== undefined && { version }),
    ...(duplicate !== undefined && { duplicate }),
  };
  return Response.json(body, { status: isReached ? 200 : 202, headers });
}

/** Options for {@linkcode reached}. */
export interface ReachedOptions {
  /** The longest wait, in ms. @default {10_000} */
  readonly timeout?: number;
}

/**
 * Waits until the read model has what the client wrote: a client that sends back the
 * `Aether-Position` of the answer to its command reads its own write. True at once without that
 * header; false if the time was over first, so that the caller decides what to answer.
 *
 * @throws {RequestError} The header is no position.
 */
export async function reached(
  request: WaitingRequest,
  readModel: ReadModel,
  { timeout = TIMEOUT }: ReachedOptions = {},
): Promise<boolean> {
  const what = "wait for the read model";
  needRequest(request, what);
  needMethods(readModel, ["reached"], what, "readModel", "a projection");
  const header = request.headers.get(POSITION)?.trim();
  if (header === undefined) return true;
  const position = positionIn(header);
  if (position === undefined) {
    throw new RequestError(
      POSITION,
      `${shown(header)} is no position; send back what you were given`,
    );
  }
  return await hasReached(readModel, position, request, timeout);
}

/** A position in a header's text; `undefined` if it is none. */
export function positionIn(text: string): number | undefined {
  const position = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : NaN;
  // The next one is what a reader goes on from.
  return Number.isSafeInteger(position + 1) ? position : undefined;
}

async function hasReached(
  readModel: ReadModel,
  sequence: number,
  { signal }: WaitingRequest,
  timeout: number,
): Promise<boolean> {
  try {
    await readModel.reached(sequence, { ...(signal && { signal }), timeout });
    return true;
  } catch (error) {
    if (nameOf(error) === "TimeoutError") return false;
    throw error;
  }
}

/** The seconds of `wait` among the preferences of RFC 7240, which has clients ignored in doubt. */
function preferredWait(prefer: string | null): number | undefined {
  const [, seconds] = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])/i.exec(prefer ?? "") ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}
