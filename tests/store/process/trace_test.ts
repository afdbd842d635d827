import { assert, assertEquals } from "@std/assert";
import { context, trace } from "@opentelemetry/api";
import {
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  execute,
  executeAll,
  type HandlingTrace,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  type Process,
  ProcessManager,
  Reactor,
} from "../../../mod.ts";
import { inSpan, Telemetry } from "../../support/telemetry.ts";
import { both, place, Run, until } from "./bed.ts";

/** Counts, and notes the span that each decision is made in. */
function counter(seen: (string | undefined)[] = []): Decider<number, number, Event<"Counted">> {
  return {
    initialState: () => 0,
    evolve: (sum) => sum + 1,
    decide: () => {
      seen.push(trace.getSpanContext(context.active())?.spanId);
      return { eventType: "Counted", data: null };
    },
  };
}

Deno.test("without an SDK a command has no span, and its events carry nothing", async () => {
  await using store = new InMemoryEventStore();
  const { events } = await execute(store, "a-1", counter(), 1);
  const [, other] = await executeAll(store, [
    { actorId: "a-1", decider: counter(), command: 1 },
    { actorId: "a-2", decider: counter(), command: 1 },
  ]);
  assertEquals([...events, ...other.events].map(({ metadata }) => metadata), [
    undefined,
    undefined,
  ]);
});

let installed: Telemetry | undefined;
function telemetry(): Telemetry {
  return installed ??= new Telemetry();
}

/** The trace, and the span, that an event names as its maker. */
function makerOf(event: Event | undefined): { traceId: string; spanId: string } {
  const [, traceId = "", spanId = ""] = event?.metadata?.traceparent?.split("-") ?? [];
  return { traceId, spanId };
}

/** The spans of one trace, each with its parent: `name < parent`. */
function treeOf(traceId: string): string[] {
  const spans = telemetry().spans.filter((span) => span.spanContext().traceId === traceId);
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
  return spans.map(({ name, parentSpanContext }) =>
    `${name} < ${names.get(parentSpanContext?.spanId ?? "")}`
  ).sort();
}

both("events of a command carry the trace of its span, each of its own caller's", async (bed) => {
  telemetry();
  const { store } = bed;
  const isSave = ({ name }: { name: string }) => name.startsWith("saveEvents ");
  /** Two calls on one actor at once: whether they were saved together. */
  const isTogether = async (actorId: string): Promise<boolean> => {
    const seen: string[] = [];
    const decider = counter(seen);
    const calls = await Promise.all([1, 2].map((_, at) =>
      inSpan(`request ${at}`, async (span) => {
        const { events: [event] } = await execute(store, actorId, decider, 1);
        return { request: span.spanContext().traceId, made: makerOf(event) };
      })
    ));
    for (const [at, { request, made }] of calls.entries()) {
      assertEquals(made.traceId, request);
      const tree = treeOf(request).filter((edge) => !/^(read|save)Events /.test(edge));
      assertEquals(tree, [`execute < request ${at}`, `request ${at} < undefined`]);
    }
    // Decided in the span of its own call, whoever had begun the queue.
    assertEquals(seen, calls.map(({ made }) => made.spanId));
    const { parentSpanContext, links } = telemetry().spans.findLast(isSave)!;
    if (parentSpanContext !== undefined) return false;
    // They are in neither's trace, with a link to both.
    assertEquals(links.map(({ context }) => context.spanId), seen);
    return true;
  };
  // On a busy machine a command may come too late for the save of the one before.
  let tries = 0;
  while (!await isTogether(`a-1-${tries}`)) assert(++tries < 50, "They are saved apart");

  const decider = counter();
  const { name: save } = telemetry().spans.findLast(isSave)!;
  const alone = await inSpan("request", async (span) => {
    await execute(store, "a-2", decider, 1);
    return span.spanContext().traceId;
  });
  assert(treeOf(alone).includes(`${save} < execute`), treeOf(alone).join());
  const joint = await inSpan("request", async (span) => {
    const results = await executeAll(store, [
      { actorId: "a-3", decider, command: 1 },
      { actorId: "a-4", decider, command: 1 },
    ]);
    for (const { events: [event] } of results) {
      assertEquals(makerOf(event).traceId, span.spanContext().traceId);
    }
    return span.spanContext().traceId;
  });
  assert(treeOf(joint).includes(`${save} < executeAll`), treeOf(joint).join());
});

Deno.test("what the caller says comes first, and trace: false switches it off", async () => {
  telemetry();
  await using store = new InMemoryEventStore();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await inSpan("request", async (span) => {
    const metadata = { traceparent, userId: "u" };
    const own = await execute(store, "a-1", counter(), 1, { metadata });
    assertEquals(own.events[0]!.metadata, metadata);
    const off = await execute(store, "a-1", counter(), 1, {
      trace: false,
      metadata: { userId: "u" },
    });
    assertEquals(off.events[0]!.metadata, { userId: "u" });
    const on = await execute(store, "a-1", counter(), 1, { metadata: { userId: "u" } });
    assertEquals(makerOf(on.events[0]).traceId, span.spanContext().traceId);
    assertEquals(on.events[0]!.metadata!.userId, "u");
  });
});

/** An order that is placed in a span of the user's: its trace. */
function placeIn(store: EventStore, actorId: string): Promise<string> {
  return inSpan("request", async (span) => {
    const { traceId, spanId } = span.spanContext();
    const metadata = { traceparent: `00-${traceId}-${spanId}-01` };
    const order = { eventType: "OrderPlaced", actorId, version: 1, data: { pieces: 1 } };
    await store.saveEvent(createEvent({ ...order, metadata }));
    return traceId;
  });
}

async function reactTo(mode: HandlingTrace | undefined): Promise<[string, Event]> {
  await using store = new InMemoryEventStore();
  const traceId = await placeIn(store, "order-1");
  const reactor = new Reactor({
    ...{ name: "r", store, checkpoints: new InMemoryCheckpointStore(), from: "start" },
    filter: { category: "order" },
    ...(mode && { trace: mode }),
    react: () => ({ actorId: "stock-1", decider: counter(), command: 1 }),
  });
  await using _run = new Run(reactor);
  await reactor.caughtUp;
  const [event] = await store.getEvents("stock-1");
  return [traceId, event!];
}

Deno.test("a reactor's commands go on with the event's trace, or are linked to it, or neither", async () => {
  telemetry();
  const [asked, event] = await reactTo(undefined);
  assertEquals(makerOf(event).traceId, asked);
  const tree = treeOf(asked);
  for (const edge of ["project reactor:r < request", "execute < project reactor:r"]) {
    assert(tree.includes(edge), tree.join());
  }

  const [origin, linked] = await reactTo("link");
  const { traceId } = makerOf(linked);
  assert(traceId !== "" && traceId !== origin);
  const [project] = telemetry().spans.filter((span) =>
    span.name === "project reactor:r" && span.spanContext().traceId === traceId
  );
  assertEquals(project!.parentSpanContext, undefined);
  assertEquals(project!.links.map(({ context }) => context.traceId), [origin]);

  const count = telemetry().spans.filter(({ name }) => name === "project reactor:r").length;
  const [, untraced] = await reactTo("off");
  assertEquals(untraced.metadata?.traceparent, undefined);
  assert(untraced.metadata?.causationId !== undefined);
  const now = telemetry().spans.filter(({ name }) => name === "project reactor:r").length;
  assertEquals(now, count);
});

both("a process and its commands go on with the trace, a deadline is linked to it", async (bed) => {
  telemetry();
  const { store, checkpoints } = bed;
  const process: Process<null, Event, Event> = {
    name: "traced",
    correlate: ({ actorId }) => actorId,
    initialState: () => null,
    evolve: () => null,
    react: (_state, input, { now }) => {
      if (!("kind" in input)) {
        return {
          commands: [{ actorId: "stock-1", command: 1 }],
          deadlines: { soon: new Date(now.getTime() + 1) },
        };
      }
      return { facts: [{ eventType: `Saw ${input.kind}`, data: null }] };
    },
  };
  const traceId = await placeIn(store, "order-1");
  const manager = new ProcessManager({
    ...{ process, store, checkpoints, from: "start", filter: { category: "order" } },
    ...{ partitions: 2, deciders: { stock: counter() } },
  });
  await using _run = new Run(manager);
  const history = async () => await store.getEvents("process:traced-order-1");
  const saw = async (type: string) => (await history()).find(({ eventType }) => eventType === type);
  await until(async () =>
    await saw("Saw reply") !== undefined && await saw("Saw deadline") !== undefined
  );
  assertEquals(makerOf((await store.getEvents("stock-1"))[0]).traceId, traceId);
  assertEquals(makerOf(await saw("CommandIssued")).traceId, traceId);
  assertEquals(makerOf(await saw("Saw reply")).traceId, traceId);
  const fired = makerOf(await saw("Saw deadline"));
  assert(fired.traceId !== traceId);
  const spans = () => telemetry().spans.filter(({ name }) => name === "deadline process:traced");
  await until(() => spans().some((span) => span.spanContext().traceId === fired.traceId));
  const span = spans().find((span) => span.spanContext().traceId === fired.traceId)!;
  assertEquals(span.links.map(({ context }) => context.traceId), [traceId]);
  await until(() => treeOf(traceId).includes("command process:traced < execute"));
  // The index of what is open is no work of the process.
  assert(!telemetry().spans.some(({ name }) => name.includes(":agenda")));
  await place(store, "order-2"); // Without a trace: one of its own.
  await manager.caughtUp;
});
