import { checkRange } from "../check/query.ts";
import { checkStoreOptions } from "../check/store_options.ts";
import type { JetStreamApiOptions } from "../nats/api_prefix.ts";
import type { EventStoreOptions } from "../store.ts";

/** Options for {@linkcode JetStreamEventStore.open}. */
export interface JetStreamEventStoreOptions extends EventStoreOptions, JetStreamApiOptions {
  /** Copies of the stream, counted when it is made. Use 3 in production. @default {1} */
  readonly replicas?: number;
  /** Shards of the stream, fixed when it is made. @default {256} */
  readonly shards?: number;
  /**
   * Deadline of one call in ms; each try waits at most a fifth of it. The codec may take as long to
   * decode one event.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /**
   * How an uncached latest version is asked for: `"last-message"` is one request to the leader;
   * `"deliver-last"` makes a consumer, for permissions that allow nothing else.
   *
   * @default {"last-message"}
   */
  readonly versionLookup?: "last-message" | "deliver-last";
  /** Actors whose latest version is kept in memory. @default {100_000} */
  readonly cacheSize?: number;
  /**
   * How many messages the stream may have lost. This library deletes none, so a stream that misses
   * some was given a limit for a while, or has lost them on a disk; opening it is refused. Give the
   * number that the error names to read what is left, or to go on without them; readers then pass
   * over what was lost until now, and fail at whatever is lost later. `Infinity` takes any number.
   *
   * @default {0}
   */
  readonly acceptedLosses?: number;
  /**
   * Whether saves of different actors that wait at the same moment go out together, as one atomic
   * batch; each keeps its own outcome. It pays where servers wait for the disk
   * (`sync_interval: always`), as they then wait once for all; elsewhere single messages are faster.
   *
   * @default {false}
   */
  readonly groupCommit?: boolean;
  /** How long `getLatestVersion` answers from memory, in ms since the server's word. @default {1_000} */
  readonly cacheMaxAge?: number;
}

/**
 * Refuses what cannot be.
 *
 * @throws {TypeError} An option is of another kind.
 * @throws {RangeError} An option is out of its range.
 */
export function checkOptions(options: JetStreamEventStoreOptions, what?: string): void {
  checkStoreOptions(options, what);
  const { replicas = 1, shards = 1, timeout = 1, cacheSize = 1, cacheMaxAge = 0 } = options;
  checkRange("replicas", replicas, 1, 5);
  checkRange("shards", shards, 1, 65_536);
  checkRange("timeout", timeout, 1, 2 ** 31 - 1);
  checkRange("cacheSize", cacheSize, 1, Number.MAX_SAFE_INTEGER);
  checkRange("cacheMaxAge", cacheMaxAge, 0, Number.MAX_SAFE_INTEGER);
  const { acceptedLosses = 0 } = options;
  if (acceptedLosses !== Infinity) {
    checkRange("acceptedLosses", acceptedLosses, 0, Number.MAX_SAFE_INTEGER);
  }
  const { versionLookup: lookup = "last-message" } = options;
  if (lookup === "last-message" || lookup === "deliver-last") return;
  throw new RangeError(
    `Cannot open the store: versionLookup is ${JSON.stringify(lookup)}, not "last-message" or ` +
      '"deliver-last"',
  );
}
