import { assertEquals } from "@std/assert";
import {
  type Decider,
  type Event,
  execute,
  executeAll,
  FORGOTTEN,
  type Forgotten,
  InMemoryEventStore,
  InMemoryKeyStore,
  sealedCodec,
} from "../../../store/mod.ts";

type Registered = Event<"Registered", { name: string | Forgotten }>;
type Names = readonly (string | Forgotten)[];

const actorId = "customer-1";

/** Registers a name, once `gate` resolves. */
function registering(gate: Promise<void> = Promise.resolve()) {
  const customer: Decider<Names, string | undefined, Registered> = {
    initialState: () => [],
    evolve: (names, { data }) => [...names, data.name],
    decide: async (name) => {
      await gate;
      return name === undefined ? [] : { eventType: "Registered", data: { name } };
    },
  };
  return customer;
}

function open() {
  const fields = { Registered: { name: (event: Registered) => String(event.version % 2) } };
  const codec = sealedCodec<Registered>({ keys: new InMemoryKeyStore(), fields });
  return { codec, store: new InMemoryEventStore({ codec }) };
}

Deno.test("states that execute() keeps do not outlive what is forgotten", async () => {
  const { codec, store } = open();
  await using _ = store;
  const decider = registering();
  await execute(store, actorId, decider, "Ada");
  assertEquals((await execute(store, actorId, decider, "Bob")).state, ["Ada", "Bob"]);
  await codec.forget("1");
  assertEquals((await execute(store, actorId, decider, undefined)).state, [FORGOTTEN, "Bob"]);
  await codec.forget("0");
  const [{ state }] = await executeAll(store, [{ actorId, decider, command: undefined }]);
  assertEquals(state, [FORGOTTEN, FORGOTTEN]);
});

for (const joint of [false, true]) {
  const what = joint ? "executeAll()" : "execute()";
  Deno.test(`a state of ${what} that was read before something was forgotten is not kept`, async () => {
    const { codec, store } = open();
    await using _ = store;
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const rules = registering(gate.promise);
    const decider = {
      ...rules,
      decide: (name: string | undefined, names: Names) => {
        reached.resolve();
        return rules.decide(name, names);
      },
    };
    await execute(store, actorId, registering(), "Ada");
    const command = joint
      ? executeAll(store, [{ actorId, decider, command: "Bob" }])
      : execute(store, actorId, decider, "Bob");
    await reached.promise;
    await codec.forget("1");
    gate.resolve();
    await command;
    assertEquals((await execute(store, actorId, decider, undefined)).state, [FORGOTTEN, "Bob"]);
  });
}
