/**
 * Real nats-servers for tests, in any runner, on Deno and Node.
 *
 * @example Start one, and end it
 * ```ts
 * import { startNats } from "@flowmade-one/aether/testing/nats";
 *
 * const nats = await startNats();
 * console.log(nats.url); // nats://127.0.0.1:…
 * await nats[Symbol.asyncDispose]();
 * ```
 *
 * @module
 */

export { type StartedNats, startNats, type StartNatsOptions } from "./start.ts";
