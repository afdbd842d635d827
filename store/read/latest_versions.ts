import { forEachOf } from "../base/several.ts";
import type { Connection } from "../connection.ts";
import { attempt } from "../nats/retry.ts";
import { lastByConsumer } from "./deliver_last.ts";
import { headIn } from "./message_facts.ts";
import type { ReaderParts } from "./pages.ts";

/** Lookups of single actors that one call has under way at most. */
const LOOKUPS = 256;

/** How latest versions are looked up. */
export interface LatestVersionsInit {
  /** See `versionLookup` of the options of a store. */
  readonly lookup: "last-message" | "deliver-last";
  /** How long memory answers, in ms since the server's word. */
  readonly maxAge: number;
}

/** The latest versions of actors: as memory has them, or as the server says. */
export class LatestVersions {
  readonly #connection: Connection;
  readonly #parts: ReaderParts;
  readonly #init: LatestVersionsInit;

  /** Asks over `connection`. */
  constructor(connection: Connection, parts: ReaderParts, init: LatestVersionsInit) {
    this.#connection = connection;
    this.#parts = parts;
    this.#init = init;
  }

  /**
   * The actor's version, if the server named it a short time ago and no check of the stream has to be
   * waited for; the check that is due then is begun, and the next request to the server waits for it.
   *
   * @throws {StreamRegressedError} The stream is another one than was opened.
   */
  remembered(actorId: string): number | undefined {
    const { heads, check } = this.#parts;
    const head = heads.getSince(actorId, performance.now() - this.#init.maxAge);
    return head === undefined || check.ensure() !== undefined ? undefined : head.version;
  }

  /** The actor's version, from the server. */
  async one(actorId: string): Promise<number> {
    const { api, headReader } = this.#parts;
    return await this.#attempt(`look up the latest version of "${actorId}"`, async () => {
      if (this.#init.lookup === "last-message") return (await headReader.read(actorId)).version;
      const last = (subject: string) => lastByConsumer(this.#connection, api, subject);
      return (await headReader.read(actorId, last)).version;
    });
  }

  /** The versions of several actors, from the server; puts them into `versions`. */
  async many(actorIds: readonly string[], versions: Map<string, number>): Promise<void> {
    const { heads, manyEnds } = this.#parts;
    const asked = performance.now();
    const byConsumer = this.#init.lookup === "deliver-last";
    const ends = byConsumer ? new Map<string, undefined>() : await this.#attempt(
      `look up the latest versions of ${actorIds.length} actors`,
      () => manyEnds.last(actorIds, true),
    );
    for (const [actorId, last] of ends) {
      const head = headIn(last);
      heads.raise(actorId, head, asked);
      versions.set(actorId, head.version);
    }
    const left = actorIds.filter((actorId) => !ends.has(actorId));
    await forEachOf(left, LOOKUPS, async (actorId) => {
      versions.set(actorId, await this.one(actorId));
    });
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return await attempt(api.requests, timeout, what, work);
  }
}
