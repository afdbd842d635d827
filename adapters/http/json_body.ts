import { needMethods } from "../../store/base/given.ts";
import { nameOf } from "../../store/base/text.ts";
import { RequestError } from "./request_error.ts";

/**
 * The body of a request as JSON, as `request.json()` gives it, but a body that is no JSON is the
 * client's mistake: {@linkcode problem} answers it with 400.
 *
 * @typeParam T The body, as the caller declares it; nothing checks this. A body of another shape is a
 * `RequestError` if you throw one.
 * @throws {RequestError} It is no JSON.
 *
 * @example Answer a body that is no JSON
 * ```ts
 * import { jsonBody, problem } from "@flowmade-one/aether/http";
 *
 * const request = new Request("http://localhost/orders", { method: "POST", body: "{" });
 * const answer = await jsonBody(request).then(() => undefined, (error) => problem(error));
 * console.log(answer?.status); // 400
 * ```
 */
export async function jsonBody<T = unknown>(
  request: { json(): Promise<unknown> },
): Promise<T> {
  needMethods(request, ["json"], "read the body", "request", "a Request of Fetch");
  try {
    return await request.json() as T;
  } catch (error) {
    if (nameOf(error) !== "SyntaxError") throw error;
    throw new RequestError("body", "it is no JSON");
  }
}
