import { headers } from "@nats-io/nats-core";
import { encodeJson } from "../base/json.ts";
import { unlessAborted } from "../base/abort.ts";
import { encodeToken } from "../base/token.ts";
import type { ActorEnd, CommandLog, CommandReceipt } from "../command_log.ts";
import { EXPECT } from "../format/headers.ts";
import { attempt } from "../nats/retry.ts";
import type { SaveReceipt } from "../options.ts";
import type { SavePlanner } from "../save/planner.ts";
import type { SavePath, StoreInternals } from "../save/path.ts";

/** What a store on JetStream keeps of commands. */
export class StreamCommandLog implements CommandLog {
  readonly #parts: StoreInternals;
  readonly #planner: SavePlanner;
  readonly #path: SavePath;

  /** Plans with `planner`, and saves by `path`. */
  constructor(parts: StoreInternals, planner: SavePlanner, path: SavePath) {
    this.#parts = parts;
    this.#planner = planner;
    this.#path = path;
  }

  /** See {@linkcode CommandLog.record}. */
  async record(
    { actorId, commandId, end, outcome }: CommandReceipt,
    signal?: AbortSignal,
  ): Promise<SaveReceipt> {
    const { version } = end;
    encodeToken(commandId);
    const body = encodeJson(outcome);
    const plan = this.#planner.receipt(actorId, commandId, end, body, signal);
    if (version === 0) await unlessAborted(signal, this.#sayUnborn(actorId));
    return await this.#path.save(plan, []);
  }

  /** See {@linkcode CommandLog.endOf}. */
  endOf(actorId: string): Promise<ActorEnd> {
    return this.#attempt(actorId, () => this.#parts.headReader.read(actorId));
  }

  /** Notes that the actor may have no events, before it has a message: see `Layout.unborn()`. */
  async #sayUnborn(actorId: string): Promise<void> {
    const { api, shards, requestTimeout } = this.#parts;
    const condition = headers();
    condition.set(EXPECT, "0"); // Once is enough: a refusal says that it is there.
    const subject = api.layout.unborn(actorId, shards);
    await this.#attempt(
      actorId,
      () => api.requests.request(subject, "", requestTimeout, condition),
    );
  }

  #attempt<T>(actorId: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, `record a command of "${actorId}"`, work);
  }
}
