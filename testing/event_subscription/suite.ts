import { checkSuite } from "../check_suite.ts";
import type { EventStore, EventStoreOptions } from "../../store/store.ts";
import type { StoreTest } from "../event_store/kit.ts";
import { ends } from "./ends.ts";
import { filters } from "./filters.ts";
import { following } from "./following.ts";
import { marks } from "./marks.ts";
import { staged } from "../stage.ts";

/** Abilities of an implementation beyond the contract itself. */
export interface EventSubscriptionCapabilities {
  /** Whether `create` with the same namespace again returns another store over the same events. */
  readonly reopen: boolean;
}

/** Options for {@linkcode eventSubscriptionSuite}. */
export interface EventSubscriptionSuite {
  /** Registers a test with any runner; a test that failed rejects with a plain `Error`. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Registers a test that is left out, with the reason. @default {nothing is registered} */
  readonly skip?: (name: string, reason: string) => void;
  /**
   * Opens a store; all of `options` have to reach it. Each test has a namespace of its own, and
   * disposes the stores that it was given.
   */
  readonly create: (
    options: EventStoreOptions & { readonly namespace: string },
  ) => EventStore | Promise<EventStore>;
  /** Abilities of the implementation beyond the contract itself. */
  readonly capabilities: EventSubscriptionCapabilities;
}

/**
 * The promises of an {@linkcode EventStore}'s `subscribe` as tests, to be run on each
 * implementation. Needs no runner of its own and waits for events, never for a fixed time.
 *
 * @example On Deno
 * ```ts ignore
 * import { eventSubscriptionSuite } from "@flowmade-one/aether/testing";
 *
 * eventSubscriptionSuite({
 *   test: (name, run) => Deno.test(`MyEventStore: ${name}`, run),
 *   create: (options) => new MyEventStore(options),
 *   capabilities: { reopen: false },
 * });
 * ```
 */
export function eventSubscriptionSuite(suite: EventSubscriptionSuite): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const test: StoreTest = staged(suite.test, create);
  const together: StoreTest = capabilities.reopen
    ? test
    : (name) => skip(name, "a store's events are its own");

  following(test, together);
  filters(test);
  marks(test);
  ends(test);
}
