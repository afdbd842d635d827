import { checkSuite } from "../check_suite.ts";
import { ended } from "../ended.ts";
import type { EventBus, EventBusOptions } from "../../bus/bus.ts";
import { counting, handlers, sharing } from "./handlers.ts";
import type { BusTest } from "./kit.ts";
import { acrossNodes } from "./nodes.ts";
import { endings, overflow } from "./queues.ts";
import { copies, refusals, routing } from "./routing.ts";

/** The buses that one test works with. */
export interface EventBusNodes extends AsyncDisposable {
  /** The bus under test. */
  readonly bus: EventBus;
  /** The same bus on another node, if there are nodes. */
  readonly peer?: EventBus;
}

/** Options for {@linkcode eventBusSuite}. */
export interface EventBusSuite {
  /** Registers a test with any runner; a test that failed rejects with a plain `Error`. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Registers a test that is left out, with the reason. @default {nothing is registered} */
  readonly skip?: (name: string, reason: string) => void;
  /** Makes the buses of one test; `options` have to reach the bus. */
  readonly create: (options?: EventBusOptions) => EventBusNodes | Promise<EventBusNodes>;
  /** Abilities of the implementation beyond one process. */
  readonly capabilities: {
    /** Whether `create` returns a `peer`: a bus of another node, on the same network. */
    readonly nodes: boolean;
  };
}

/**
 * The promises of an {@linkcode EventBus} as tests, to be run on each implementation. Needs no
 * runner of its own and waits for events, never for a while.
 *
 * @example On Deno
 * ```ts ignore
 * import { LocalEventBus } from "@flowmade-one/aether";
 * import { eventBusSuite } from "@flowmade-one/aether/testing";
 *
 * eventBusSuite({
 *   test: (name, run) => Deno.test(`LocalEventBus: ${name}`, run),
 *   create: (options) => {
 *     const bus = new LocalEventBus(options);
 *     return { bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
 *   },
 *   capabilities: { nodes: false },
 * });
 * ```
 */
export function eventBusSuite(suite: EventBusSuite): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const test: BusTest = (name, run, options) =>
    suite.test(name, async () => {
      const nodes = await create(options);
      await ended(
        () => run(nodes.bus, nodes.peer ?? nodes.bus),
        () => [() => nodes[Symbol.asyncDispose]()],
      );
    });
  const nodesTest: BusTest = (name, run, options) =>
    capabilities.nodes ? test(name, run, options) : skip(name, "there is one node only");

  routing(test);
  copies(test);
  refusals(test);
  overflow(test);
  endings(test);
  handlers(test);
  sharing(test);
  counting(test);
  acrossNodes(nodesTest);
}
