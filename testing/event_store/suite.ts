import { checkSuite } from "../check_suite.ts";
import type { EventStore, EventStoreOptions } from "../../store/store.ts";
import { batches, expectations } from "./batches.ts";
import { bounds, tooLarge } from "./bounds.ts";
import { broadcasting, disposal } from "./broadcasting.ts";
import { codecs } from "./codecs.ts";
import { commits } from "./commits.ts";
import { faithfulness, refusals, sizes } from "./data.ts";
import { definitions } from "./definitions.ts";
import { identifiers } from "./identifiers.ts";
import { identities } from "./identity.ts";
import type { StoreTest } from "./kit.ts";
import { ends, logs } from "./log.ts";
import { ranges } from "./ranges.ts";
import { copies, latestVersions, reading } from "./reading.ts";
import { several } from "./several.ts";
import { upcasting } from "./upcasting.ts";
import { duplicates, versions, writers } from "./versions.ts";
import { staged } from "../stage.ts";

/** The smallest limit of an event's bytes that the tests have room in. */
const LEAST_BYTES = 2_048;

/** Abilities of an implementation beyond the contract itself. */
export interface EventStoreCapabilities {
  /** Whether `create` with the same namespace again returns another store over the same events. */
  readonly reopen: boolean;
  /**
   * Bytes of the largest event, as JSON in UTF-8, that a store of `create` takes, at least 2,048;
   * `undefined` if there is no limit.
   */
  readonly maxBytes: number | undefined;
  /**
   * Messages of an atomic batch that a store of `create` may need for itself: so many fewer actors
   * than 1,000 fit into one save.
   *
   * @default {0}
   */
  readonly reserved?: number;
}

/** Options for {@linkcode eventStoreSuite}. */
export interface EventStoreSuite {
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
  readonly capabilities: EventStoreCapabilities;
}

/**
 * The promises of an {@linkcode EventStore} as tests, to be run on each implementation. Needs no
 * runner of its own and waits for what happens, never for a while.
 *
 * @throws {TypeError} An option is missing, or of another kind.
 * @throws {RangeError} `maxBytes` has no room for the events of the tests.
 *
 * @example On Deno
 * ```ts ignore
 * import { eventStoreSuite } from "@flowmade-one/aether/testing";
 *
 * eventStoreSuite({
 *   test: (name, run) => Deno.test(`MyEventStore: ${name}`, run),
 *   create: (options) => new MyEventStore(options),
 *   capabilities: { reopen: false, maxBytes: undefined },
 * });
 * ```
 */
export function eventStoreSuite(suite: EventStoreSuite): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const test: StoreTest = staged(suite.test, create);
  const { reopen, maxBytes, reserved = 0 } = capabilities;
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes >= LEAST_BYTES)) {
    throw new RangeError(
      `Cannot register the tests: maxBytes is ${maxBytes}, and their events need ${LEAST_BYTES}; ` +
        "have create() open stores with more room",
    );
  }
  const together: StoreTest = reopen ? test : (name) => skip(name, "a store's events are its own");

  versions(test);
  duplicates(test, together);
  writers(test, together);
  batches(test, reserved);
  expectations(test, together, reserved);
  reading(test, together, maxBytes);
  latestVersions(test, together);
  several(test, together, maxBytes);
  ranges(test, together);
  logs(test, together);
  copies(test);
  faithfulness(test);
  refusals(test);
  commits(test, together);
  bounds(test, maxBytes);
  if (maxBytes === undefined) skip("an event's size", "there is no limit");
  else {
    sizes(test, maxBytes);
    tooLarge(test, maxBytes);
  }
  identifiers(test);
  identities(test, together);
  codecs(test);
  upcasting(test, together);
  definitions(test, together);
  broadcasting(test);
  disposal(test);
  ends(test);
}
