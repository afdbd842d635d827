/**
 * User code may do anything: throw values without text or prototype, give what cannot be stored,
 * never settle, change what it was given. Every function that the library takes from its user is on
 * a list in this room, by its name in the public types; one that is missing fails the test.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type EventStoreOptions, InMemoryEventStore, JetStreamEventStore } from "../../mod.ts";
import { acts, eachAct } from "../support/acts.ts";
import { natsTest } from "../support/fixture.ts";
import type { Hooks } from "./bed.ts";
import { BUSES } from "./buses.ts";
import { CLUSTER } from "./cluster.ts";
import { DECIDERS } from "./deciders.ts";
import { takenFunctions } from "./list.ts";
import { PROCESSES } from "./processes.ts";
import { PROJECTIONS } from "./projections.ts";
import { REACTORS } from "./reactors.ts";
import { SCHEMAS } from "./schemas.ts";
import { SEALING } from "./sealing.ts";
import { STORE } from "./store.ts";
import { TESTING } from "./testing.ts";

/** The lists by area; those of `onServer` are drawn from on a server too. */
const AREAS: readonly { readonly hooks: Hooks; readonly onServer: boolean }[] = [
  ...[STORE, SCHEMAS, SEALING, DECIDERS, PROJECTIONS, REACTORS, PROCESSES].map((hooks) => ({
    hooks,
    onServer: true,
  })),
  ...[BUSES, CLUSTER, TESTING].map((hooks) => ({ hooks, onServer: false })),
];

Deno.test("Every function that the library takes from its user is on the list", async () => {
  const taken = await takenFunctions(["mod.ts", "cluster/mod.ts", "testing/mod.ts"]);
  assertEquals(taken, AREAS.flatMap(({ hooks }) => Object.keys(hooks)).toSorted());
});

for (const { hooks, onServer } of AREAS) {
  for (const [name, scenario] of Object.entries(hooks)) {
    if (typeof scenario === "string") continue;
    Deno.test(`Whatever ${name} does stays with it (memory)`, async () => {
      await eachAct(acts(), async (act) => {
        await using stack = new AsyncDisposableStack();
        const open = (options: EventStoreOptions = {}) =>
          Promise.resolve(stack.use(new InMemoryEventStore(options)));
        await scenario({ stack, open }, act);
      });
    });
    if (!onServer) continue;
    natsTest(`Whatever ${name} does stays with it (JetStream)`, async (scene) => {
      const connection = await scene.connect();
      let run = 0;
      const all = acts();
      // Some that are drawn, one that nobody can look at, and the two that are not about values.
      const drawn = all.filter(({ name, kind }) => kind === "throws" && name.includes("proxied"));
      drawn.push(...all.slice(-2));
      // Each once: an act notes what it has thrown last.
      while (drawn.length < 6) {
        const act = all[Math.floor(Math.random() * all.length)]!;
        if (!drawn.includes(act)) drawn.push(act);
      }
      await eachAct(drawn, async (act) => {
        await using stack = new AsyncDisposableStack();
        const open = async (options: EventStoreOptions = {}) => {
          const namespace = `${scene.namespace}-${++run}`;
          const own = { ...options, namespace, timeout: 2_000 };
          return stack.use(await JetStreamEventStore.open(connection, own));
        };
        await scenario({ stack, open }, act);
      });
    });
  }
}
