import { checkSuite } from "../check_suite.ts";
import type { SnapshotStore } from "../../store/snapshot/snapshot.ts";
import type { SnapshotTest } from "./kit.ts";
import { copies, faithfulness, refusals, sizes } from "./state.ts";
import { disposal, newest, schemas, together } from "./versions.ts";
import { staged } from "../stage.ts";

/** Abilities of an implementation beyond the contract itself. */
export interface SnapshotStoreCapabilities {
  /**
   * Whether `create` with the same namespace again returns another store over the same snapshots.
   */
  readonly reopen: boolean;
  /**
   * Bytes of the largest snapshot, as JSON in UTF-8, that a store of `create` takes;
   * `undefined` if there is no limit.
   */
  readonly maxBytes: number | undefined;
}

/** Options for {@linkcode snapshotStoreSuite}. */
export interface SnapshotStoreSuite {
  /** Registers a test with any runner; a test that failed rejects with a plain `Error`. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Registers a test that is left out, with the reason. @default {nothing is registered} */
  readonly skip?: (name: string, reason: string) => void;
  /**
   * Opens a store. Each test has a namespace of its own, and disposes the stores that it was
   * given.
   */
  readonly create: (
    options: { readonly namespace: string },
  ) => SnapshotStore | Promise<SnapshotStore>;
  /** Abilities of the implementation beyond the contract itself. */
  readonly capabilities: SnapshotStoreCapabilities;
}

/**
 * The promises of a {@linkcode SnapshotStore} as tests, to be run on each implementation. Needs
 * no runner of its own and waits for what happens, never for a while.
 *
 * An implementation tests lost or unreadable bytes itself: a read returns the newest snapshot that
 * can be read, else `undefined`, and never rejects for it.
 *
 * @example Hold a store to the promises
 * ```ts
 * import { InMemorySnapshotStore } from "@flowmade-one/aether";
 * import { snapshotStoreSuite } from "@flowmade-one/aether/testing";
 *
 * const tests = new Map<string, () => Promise<void>>();
 * snapshotStoreSuite({
 *   test: (name, run) => tests.set(name, run), // or Deno.test, or test of node:test
 *   create: () => new InMemorySnapshotStore(),
 *   capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
 * });
 * await tests.get("a newer snapshot takes the place of an older one")!();
 * ```
 */
export function snapshotStoreSuite(suite: SnapshotStoreSuite): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const test: SnapshotTest = staged(suite.test, create);
  const { reopen, maxBytes } = capabilities;

  newest(test);
  together(reopen ? test : (name) => skip(name, "a store's snapshots are its own"));
  schemas(test);
  copies(test);
  faithfulness(test);
  refusals(test);
  if (maxBytes === undefined) skip("a snapshot's size", "there is no limit");
  else sizes(test, maxBytes);
  disposal(test);
}
