import { describe, tokenProblem } from "../base/token.ts";
import type { FencedError } from "../errors.ts";
import type { JetStreamEventStoreOptions } from "../jetstream/options.ts";

/** Options for `FencedEventStore.open()`. */
export interface FencedEventStoreOptions extends JetStreamEventStoreOptions {
  /** Names this node in the fences of its shards. */
  readonly nodeId: string;
  /** Names this life of the node; a later one has to sort behind it. @default {a UUIDv7} */
  readonly incarnation?: string;
  /**
   * How the store makes sure that a shard still belongs to this node when a save is stored.
   *
   * - `"fenced"`: the commit itself proves it. Once another node's claim is stored, nothing that
   *   this node sends is stored any more, however late it finds out. Saves go out in atomic
   *   batches, which replicas 3 are meant for: on one server each batch holds the stream up for
   *   milliseconds.
   * - `"optimistic"`: this node checks its own knowledge. Saves are as quick as a plain store's. A
   *   deposed node that does not know it yet can still write an actor **until the new owner has
   *   written it**; if both write, the version decides, as in a plain store. `renew()` cannot shut
   *   out a save whose answer was lost with the connection either: in a cluster, the actor's next
   *   command waits for seconds, and if the lost save arrives later still, a command that is sent
   *   again may be handled twice.
   *
   * @default {"fenced"}
   */
  readonly mode?: "fenced" | "optimistic";
  /**
   * `"fenced"`: before a read, a commit (shared with saves) proves that the actor's shard still
   * belongs to this node. `"lease"`: no proof; a deposed node may read outdated events for as long
   * as it believes in its lease.
   *
   * @default {"lease"}
   */
  readonly reads?: "lease" | "fenced";
  /**
   * Called at once with each shard that turns out to belong to another node. What it throws goes to
   * `console.warn`.
   *
   * @default {undefined}
   */
  readonly onDeposed?: (shard: number, error: FencedError) => void;
}

/** Throws a `RangeError` for a name that is none. */
export function checkOwner(
  { nodeId, incarnation }: Required<Pick<FencedEventStoreOptions, "nodeId" | "incarnation">>,
): void {
  checkOwnerName("nodeId", nodeId);
  checkOwnerName("incarnation", incarnation);
}

/** Throws a `RangeError` for a choice that is none. */
export function checkModes(
  { mode = "fenced", reads = "lease" }: Pick<FencedEventStoreOptions, "mode" | "reads">,
): void {
  checkChoice("mode", mode, ["fenced", "optimistic"]);
  checkChoice("reads", reads, ["lease", "fenced"]);
}

function checkOwnerName(name: string, value: unknown): void {
  const problem = tokenProblem(value);
  if (problem === undefined) return;
  throw new RangeError(`Cannot open the store: ${name} ${describe(value)} ${problem}`);
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  const allowed = choices.map((choice) => `"${choice}"`).join(" or ");
  throw new RangeError(`Cannot open the store: ${name} is ${describe(value)}, not ${allowed}`);
}
