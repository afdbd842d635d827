import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  createEvent,
  type Decider,
  type Event,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  Reactor,
  type ReactorOptions,
} from "../../store/mod.ts";
import { reactorSpec } from "../../testing/mod.ts";

type Placed = Event<"OrderPlaced", { skus: string[] }>;

const stock: Decider<number, { take: number }, Event<"Taken", number>> = {
  initialState: () => 0,
  evolve: (taken, { data }) => taken + data,
  decide: ({ take }) => ({ eventType: "Taken", data: take }),
};

const reserve = {
  name: "reserve",
  filter: { category: "order" },
  react: ({ data }: Placed) => {
    if (data.skus.length === 0) throw new RangeError("an order is empty");
    return data.skus.map((sku) => ({
      actorId: `stock-${sku}`,
      decider: stock,
      command: { take: 1 },
    }));
  },
};

const placed = (...skus: string[]) =>
  ({ eventType: "OrderPlaced", actorId: "order-1", data: { skus } }) as const;
const take = (sku: string) => ({ actorId: `stock-${sku}`, command: { take: 1 } });
const message = async (check: () => Promise<void>) =>
  (await assertRejects(check, Error)).message.split("\n")[0];

Deno.test("reactorSpec() passes if an event leads to the expected commands, and no others", async () => {
  const spec = reactorSpec(reserve);
  await spec.when(placed("pen")).then(take("pen"));
  await spec.when(placed("pen", "ink")).then([take("pen"), { ...take("ink"), decider: stock }]);
  await spec.when({ ...placed("pen"), actorId: "offer-1" }).then([]);
  await spec.when(placed()).then(RangeError);
  assertEquals(
    await message(() => spec.when(placed("pen")).then(take("ink"))),
    'Expected commands.0.actorId to be "stock-ink", got "stock-pen"',
  );
  assertMatch(
    (await message(() => spec.when(placed("pen", "ink")).then(take("pen"))))!,
    /^Expected commands to be /,
  );
  const other = { ...stock, decide: () => [] };
  await assertRejects(() => spec.when(placed("pen")).then({ ...take("pen"), decider: other }));
  await assertRejects(() => spec.when(placed("pen")).then({ ...take("pen"), key: "k" }));
  assertEquals(
    await message(() => spec.when(placed()).then([])),
    "Expected commands, but react() threw RangeError: an order is empty",
  );
  assertMatch(
    (await message(() => spec.when(placed("pen")).then(RangeError)))!,
    /^Expected RangeError, but react\(\) gave \[\{"actorId":"stock-pen"/,
  );
  const awaited = async () => await (spec.when(placed()) as unknown as PromiseLike<void>);
  assertMatch((await assertRejects(awaited, Error)).message, /^Cannot await when\(\)/);
});

Deno.test("reactorSpec() fails a reactor whose ids change when the event comes again", async () => {
  let calls = 0;
  const drawn = reactorSpec({
    react: (_: Placed) => ({ ...take("pen"), key: `${++calls}` }),
  });
  assertEquals(
    await message(() => drawn.when(placed("pen")).then({ ...take("pen"), key: "1" })),
    'Expected targets.0.key to be "1", got "2", when the event came again',
  );
  const remembered = new Set<string>();
  const once = reactorSpec({
    react: ({ id }: Placed) => {
      if (remembered.has(id)) return;
      remembered.add(id);
      return take("pen");
    },
  });
  await assertRejects(() => once.when(placed("pen")).then(take("pen")), Error, "came again");
  // Another order of other actors is the same commands.
  const reversed = reactorSpec({
    react: (_: Placed) => calls++ % 2 ? [take("pen"), take("ink")] : [take("ink"), take("pen")],
  });
  calls = 1;
  await reversed.when(placed()).then([take("pen"), take("ink")]);
});

Deno.test("reactorSpec() holds command ids to what they were, and makes them as a reactor does", async () => {
  const event = { ...placed("pen", "pen"), id: "e1" };
  const [first, second] = await reactorSpec(reserve).when(event).commandIds();
  const spec = reactorSpec(reserve);
  await spec.when(event).then([
    { ...take("pen"), commandId: first! },
    { ...take("pen"), commandId: second! },
  ]);
  const renamed = reactorSpec({ ...reserve, name: "another" });
  await assertRejects(
    () => renamed.when(event).then([{ ...take("pen"), commandId: first! }, take("pen")]),
    Error,
    "commandId",
  );

  // The real one, on a store of the identity that the spec takes.
  const store = new InMemoryEventStore();
  Object.defineProperty(store, "identity", { value: "given" });
  const sent: string[] = [];
  const react: ReactorOptions<Placed>["react"] = (event) =>
    reserve.react(event).map(({ actorId, command }) => ({ actorId, command }));
  await using reactor = new Reactor<Placed>({
    ...reserve,
    react,
    store,
    checkpoints: new InMemoryCheckpointStore(),
    from: "start",
    send: (_actorId, _command, { commandId }) => Promise.resolve(void sent.push(commandId)),
  });
  const running = reactor.run();
  const { eventType, actorId, data } = event;
  await store.saveEvent({
    ...createEvent<Placed>({ eventType, actorId, version: 1, data: { skus: [...data.skus] } }),
    id: "e1",
  });
  await reactor.caughtUp;
  assertEquals(sent, [first!, second!]);
  await reactor[Symbol.asyncDispose]();
  await running;
  await store[Symbol.asyncDispose]();
});

Deno.test("reactorSpec() goes by the reactor and the event of the call", async () => {
  const filter = { category: "order" };
  const reactor = { name: "own", filter, react: (_: Placed) => [take("pen")] };
  const event = { ...placed("pen"), actorId: "order-1", id: "e1" };
  const ids = await reactorSpec(reactor).when(event).commandIds();
  const when = reactorSpec(reactor).when(event);
  filter.category = "offer";
  Object.assign(reactor, { name: "other", react: () => [] });
  Object.assign(event, { id: "e2", actorId: "order-2" });
  await when.then(take("pen"));
  assertEquals(await when.commandIds(), ids);
});

Deno.test("reactorSpec() and a reactor call react() on the object that it is a method of", async () => {
  const reactor = {
    ...reserve,
    prefix: "stock-",
    react(_: Placed) {
      return { actorId: `${this.prefix}pen`, decider: stock, command: { take: 1 } };
    },
  };
  await reactorSpec(reactor).when(placed("pen")).then(take("pen"));
  await using store = new InMemoryEventStore();
  await using running = new Reactor({
    ...{ store, checkpoints: new InMemoryCheckpointStore(), from: "start" },
    ...reactor,
  });
  const run = running.run();
  await store.saveEvent(createEvent({ ...placed("pen"), version: 1 }));
  await running.caughtUp;
  assertEquals((await store.getEvents("stock-pen")).length, 1);
  await running[Symbol.asyncDispose]();
  await run;
});
