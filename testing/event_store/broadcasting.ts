import type { Event } from "../../store/event.ts";
import { EVENT_STORED, type EventStored } from "../../store/event_stored.ts";
import type { Broadcaster } from "../../store/store.ts";
import { equal, ok, rejects, within } from "../assert.ts";
import { holds, range, Recorder, sample, samples, type StoreTest, turns } from "./kit.ts";

/** EventStored: its content, and when it is published. */
export function broadcasting(test: StoreTest): void {
  test("a save publishes EventStored with the facts of the saved event", async (stage) => {
    const broadcaster = new Recorder();
    const store = await stage.open({ broadcaster });
    const timestamp = new Date("2020-01-02T03:04:05.678Z");
    const event = sample({ actorId: "order-7", version: 3, timestamp, data: { secret: 1 } });
    const { sequence } = await store.saveEvent(event);
    equal(broadcaster.namespaces, [stage.namespace], "namespaces");
    const stored = broadcaster.events[0]!;
    equal(stored.eventType, "EventStored", "event type");
    equal(EVENT_STORED, "EventStored", "EVENT_STORED");
    equal([stored.actorId, stored.version], ["order-7", 3], "actor and version");
    equal(stored.data, {
      eventId: event.id,
      eventType: event.eventType,
      actorId: "order-7",
      version: 3,
      sequence,
      timestamp: "2020-01-02T03:04:05.678Z",
    }, "data");
    ok(stored.id !== event.id && stored.id.length > 0, "it has an id of its own");
    ok(stored.timestamp instanceof Date, "its timestamp is a Date");
  });

  test("EventStored carries correlation on, and causation is the saved event", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const metadata = { correlationId: "request-9", causationId: "command-4", traceparent };
    const correlated = sample({ version: 1, metadata });
    const alone = sample({ version: 2 });
    await store.saveEvents([correlated, alone]);
    const [first, second] = broadcaster.events.map((event) => event.metadata);
    equal(first, { correlationId: "request-9", causationId: correlated.id, traceparent }, "first");
    equal(second, { correlationId: alone.id, causationId: alone.id }, "second");
  });

  test("EventStored is published before the save resolves, and the event is there", async ({ open }) => {
    const seen: number[] = [];
    const all = Promise.withResolvers<void>();
    const broadcaster: Broadcaster = {
      async publish(_namespace: string, event: Event): Promise<void> {
        const events = await store.getEvents(event.actorId, event.version);
        if (seen.push(events[0]?.version ?? -1) === 5) all.resolve();
      },
    };
    const store = await open({ broadcaster });
    for (const version of range(1, 5)) await store.saveEvent(sample({ version }));
    // A read takes its time: no save waits for it, and a store that is disposed reads nothing.
    await all.promise;
    equal(seen, range(1, 5), "versions that the broadcaster could read");
    const recorder = new Recorder();
    const other = await open({ broadcaster: recorder });
    for (const version of range(11, 15)) {
      await other.saveEvent(sample({ version }));
      equal(recorder.events.at(-1)?.version, version, "version of the last notification");
    }
    await other.saveEvents(samples("order-2", range(1, 100)));
    equal(recorder.events.length, 105, "number of notifications");
  });

  test("EventStored comes once for each event of a batch, in order per actor", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const batch = [...samples("a-1", [1, 2]), ...samples("b-1", [4]), ...samples("a-1", [7])];
    await store.saveEvents(batch);
    for (const actorId of ["a-1", "b-1"]) {
      const of = (event: Event) => event.actorId === actorId;
      const published = broadcaster.events.filter(of).map(({ data }) => data.eventId);
      equal(published, batch.filter(of).map(({ id }) => id), `ids of ${actorId}`);
    }
    equal(broadcaster.events.length, 4, "number of notifications");
  });

  test("EventStored says where each event is, of batches and of saves at the same time", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    await store.saveEvent(sample({ actorId: "c-1", version: 1 }));
    const long = samples("b-1", range(1, 300)); // more than one message holds
    await store.saveEvents([...samples("a-1", [1, 2]), ...long, ...samples("a-1", [7])]);
    await Promise.all(
      range(8, 60).flatMap((version) => [
        store.saveEvent(sample({ actorId: "a-1", version })),
        store.saveEvents(samples("d-1", [2 * version, 2 * version + 1])),
      ]),
    );
    const told = new Map(broadcaster.events.map(({ data }) => [data.eventId, data.sequence]));
    let stored = 0;
    for await (const { id, sequence } of store.readAll()) {
      equal(told.get(id), sequence, `sequence of event ${++stored}`);
    }
    equal([told.size, stored], [1 + 303 + 3 * 53, 1 + 303 + 3 * 53], "number of events");
  });

  test("EventStored comes in order per actor, also for saves at the same time", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const saves = range(1, 60).map((at) =>
      store.saveEvent(sample({ actorId: `order-${at % 3}`, version: at }))
    );
    await Promise.all(saves);
    for (const rest of [0, 1, 2]) {
      const own = broadcaster.places.filter(([actorId]) => actorId === `order-${rest}`);
      const versions = range(1, 60).filter((at) => at % 3 === rest);
      equal(own.map(([, version]) => version), versions, `versions of order-${rest}`);
    }
  });

  test("nothing is published for a conflict, a duplicate or an invalid event", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const event = sample();
    await store.saveEvent(event);
    await store.saveEvent(event);
    await rejects(() => store.saveEvent(sample()), "VersionConflictError");
    await rejects(() => store.saveEvent(sample({ version: 2, data: NaN })), "InvalidEventError");
    const batch = samples("order-2", [1]);
    await rejects(
      () => store.saveEvents(batch, { expect: [{ actorId: "order-1", version: 0 }] }),
      "VersionConflictError",
    );
    await rejects(() => store.saveEvents([...batch, sample()]), "VersionConflictError");
    await rejects(() => store.saveEvents([]), "RangeError");
    await store[Symbol.asyncDispose]();
    equal(broadcaster.places, [["order-1", 1]], "notifications");
  });

  test("a broadcaster that fails is reported and fails no save", async ({ open }) => {
    const thrown = new Error("thrown");
    const rejected = new Error("rejected");
    const reports: [unknown, Event][] = [];
    const published: EventStored[] = [];
    const store = await open({
      broadcaster: {
        publish(_namespace: string, event: Event): Promise<void> | void {
          published.push(event as EventStored);
          if (event.version === 1) throw thrown;
          if (event.version === 2) return Promise.reject(rejected);
        },
      },
      onBroadcastError: (error, event) => reports.push([error, event]),
    });
    const events = samples("order-1", [1, 2, 3]);
    for (const event of events) equal((await store.saveEvent(event)).duplicate, false, "duplicate");
    await holds(store, events);
    await store[Symbol.asyncDispose]();
    equal(published.map(({ version }) => version), [1, 2, 3], "versions published");
    equal(reports.map(([error]) => (error as Error).message), ["thrown", "rejected"], "errors");
    ok(reports[0]![0] === thrown && reports[1]![0] === rejected, "the errors are passed on");
    ok(reports[0]![1] === published[0], "the event is passed on");
  });

  test("an onBroadcastError that throws fails no save either", async ({ open }) => {
    const warn = console.warn;
    const warnings: unknown[][] = [];
    console.warn = (...all) => warnings.push(all);
    try {
      const fail = (): never => {
        throw new Error("no");
      };
      const store = await open({ broadcaster: { publish: fail }, onBroadcastError: fail });
      await store.saveEvent(sample());
      const silent = await open({ broadcaster: { publish: fail } });
      await silent.saveEvent(sample({ actorId: "order-2" }));
      equal(warnings.length, 2, "number of warnings on the console");
    } finally {
      console.warn = warn;
    }
  });

  test("a slow broadcaster delays no save, and gets an actor's events in turn", async ({ open }) => {
    const gates: PromiseWithResolvers<void>[] = [];
    const begun: [string, number][] = [];
    let running = 0;
    let most = 0;
    const broadcaster: Broadcaster = {
      async publish(_namespace: string, { actorId, version }: Event): Promise<void> {
        begun.push([actorId, version]);
        if (actorId !== "slow-1") return;
        most = Math.max(most, ++running);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        running--;
      },
    };
    const reports: unknown[] = [];
    const onBroadcastError = (error: unknown): void => void reports.push(error);
    const store = await open({ broadcaster, onBroadcastError });
    for (const event of samples("slow-1", [1, 2])) {
      await within(store.saveEvent(event), "a save beside a slow broadcaster");
    }
    await within(store.saveEvents(samples("slow-1", [3, 4])), "a batch beside it");
    await within(store.saveEvent(sample({ actorId: "quick-1" })), "a save of another actor");
    equal(begun, [["slow-1", 1], ["quick-1", 1]], "notifications while the first is under way");
    for (const at of range(0, 3)) {
      while (gates.length <= at) await turns();
      gates[at]!.resolve();
    }
    await within(store[Symbol.asyncDispose](), "disposal");
    const slow = begun.filter(([actorId]) => actorId === "slow-1");
    equal(slow.map(([, version]) => version), [1, 2, 3, 4], "versions");
    equal(most, 1, "most notifications of the actor under way at once");
    equal(reports, [], "reports");
  });

  test("at most 1,000 notifications wait, more are reported", async ({ open }) => {
    const gate = Promise.withResolvers<void>();
    const begun: number[] = [];
    const reported: number[] = [];
    const store = await open({
      broadcaster: {
        publish(_namespace: string, event: Event): Promise<void> {
          begun.push(event.version);
          return gate.promise;
        },
      },
      onBroadcastError: (_error, event) => reported.push(event.version),
    });
    await store.saveEvents(samples("order-1", range(1, 1000)));
    await store.saveEvents(samples("order-1", range(1001, 1004)));
    equal(begun, [1], "versions published");
    equal(reported, [1002, 1003, 1004], "versions reported");
    gate.resolve();
    await within(store[Symbol.asyncDispose](), "disposal");
    equal(begun, range(1, 1001), "versions published in the end");
  });

  test("a broadcaster that keeps up gets all notifications of a save, however many", async ({ open }) => {
    const published: number[] = [];
    const reports: unknown[] = [];
    const store = await open({
      broadcaster: {
        async publish(_namespace: string, { version }: Event): Promise<void> {
          await undefined;
          published.push(version);
        },
      },
      onBroadcastError: (error) => reports.push(error),
    });
    await store.saveEvents(samples("order-1", range(1, 1500)));
    equal(published, range(1, 1500), "versions published");
    equal(reports, [], "reports");
  });

  test("a slow broadcaster gets all notifications of a save that is larger than that", async ({ open }) => {
    const gate = Promise.withResolvers<void>();
    const published: number[] = [];
    const reports: unknown[] = [];
    const store = await open({
      broadcaster: {
        publish(_namespace: string, { version }: Event): Promise<void> {
          published.push(version);
          return gate.promise;
        },
      },
      onBroadcastError: (error) => reports.push(error),
    });
    await store.saveEvents(samples("order-1", range(1, 1100)));
    equal([published, reports], [[1], []], "versions published, and reports");
    gate.resolve();
    await within(store[Symbol.asyncDispose](), "disposal");
    equal(published, range(1, 1100), "versions published in the end");
  });

  test("a store without a broadcaster still saves", async ({ open }) => {
    const store = await open({ broadcaster: undefined as never, onBroadcastError: fail });
    const events = samples("order-1", [1, 2]);
    await store.saveEvents(events);
    await holds(store, events);
  });
}

/** Disposal. */
export function disposal(test: StoreTest): void {
  test("disposal waits for saves under way", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const ended: number[] = [];
    const saves = range(1, 10).map((at) =>
      store.saveEvent(sample({ actorId: `order-${at % 2}`, version: at })).then(() =>
        ended.push(at)
      )
    );
    const all = Promise.all(saves);
    all.catch(() => {}); // Awaited below, unless a line in between fails.
    await within(store[Symbol.asyncDispose](), "disposal");
    equal(broadcaster.events.length, 10, "number of notifications at the end of disposal");
    await all;
    equal(ended.length, 10, "number of saves that were stored");
  });

  test("disposal waits for notifications under way", async ({ open }) => {
    const gate = Promise.withResolvers<void>();
    const ended: string[] = [];
    const store = await open({
      broadcaster: {
        async publish(): Promise<void> {
          await gate.promise;
          await turns();
          ended.push("notification");
        },
      },
    });
    await store.saveEvents(samples("order-1", [1, 2]));
    const disposed = store[Symbol.asyncDispose]().then(() => ended.push("disposal"));
    await turns();
    gate.resolve();
    await within(disposed, "disposal");
    equal(ended, ["notification", "notification", "disposal"], "what ended, in order");
  });

  test("disposal may be asked for twice", async ({ open }) => {
    const store = await open();
    const saving = store.saveEvent(sample());
    await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
    await saving;
    await store[Symbol.asyncDispose]();
  });
}

function fail(error: unknown): never {
  throw new Error(`Nothing is to be reported: ${error}`);
}
