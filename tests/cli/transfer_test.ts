import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ImportError, importEvents } from "../../cli/main.ts";
import { readLine } from "../../cli/event_json.ts";
import {
  type Codec,
  createEvent,
  type Event,
  FORGOTTEN,
  InMemoryEventStore,
  JetStreamEventStore,
  jsonCodec,
  type RecordedEvent,
} from "../../store/mod.ts";
import { facts } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { assertVerified } from "../support/verified.ts";
import { aether } from "./bed.ts";

/** What has to survive: all but positions and the names of commits. */
function facet({ sequence: _, commit: { index, count }, ...event }: RecordedEvent) {
  return { ...event, index, count };
}

for (const form of [[], ["--cloudevents"]]) {
  natsTest(`events come back as they were, ${form[0] ?? "as JSON lines"}`, async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvents([...facts("order-1", 1, 3), ...facts("bill-1", 1, 2)]);
    await store.saveEvent({ ...facts("order-1", 7, 1)[0]!, timestamp: new Date(1_000) });
    const metadata = { correlationId: "c", traceparent: "00-1-2-01", own: "é" };
    await store.saveEvent(createEvent({
      ...{ eventType: "Noted", actorId: "note-1", version: 1, data: "\u2028 {}", metadata },
    }));
    for (let at = 0; at < 600; at++) await store.saveEvent(facts(`many-${at}`, 1, 1)[0]!);
    const file = await Deno.makeTempFile();
    const other = `${namespace}-2`;
    try {
      const written = await aether(scene, "export", file, ...form);
      assertEquals([written.code, written.err], [0, "607 events are written\n"]);
      const into = ["import", file, "--namespace", other, "--create"];
      const dry = await aether(scene, ...into, "--dry-run");
      assertMatch(dry.out, /^607 events would be saved, 0 were there/);
      const real = await aether(scene, ...into);
      assertMatch(real.out, /^607 events are saved, 0 were there/);
      const again = await aether(scene, ...into);
      assertMatch(again.out, /^0 events are saved, 607 were there/);
    } finally {
      await Deno.remove(file);
    }
    await using copy = await JetStreamEventStore.open(connection, { namespace: other });
    const [before, after] = await Promise.all(
      [store, copy].map(async (it) => (await Array.fromAsync(it.readAll())).map(facet)),
    );
    assertEquals(after, before);
    await assertVerified(connection, other);
  });
}

const line = (version: number, init: Record<string, unknown> = {}) =>
  JSON.stringify({
    ...{ id: `e-${version}`, eventType: "Placed", actorId: "order-1", version, data: version },
    ...{ timestamp: "2026-01-01T00:00:00.000Z", ...init },
  });

/** Forgets the events of `gone-1`, and of all others what a field says. */
const forgetful: Codec<Event> = {
  encode: (event) => jsonCodec.encode(event),
  decode(bytes) {
    const event = jsonCodec.decode<Event>(bytes);
    if (event.actorId === "gone-1") return FORGOTTEN;
    return { ...event, data: { kept: 1, name: FORGOTTEN, list: [{ name: FORGOTTEN }] } };
  },
};

for (const form of [[], ["--cloudevents"]]) {
  natsTest(
    `what is forgotten is counted and left out, ${form[0] ?? "as JSON lines"}`,
    async (scene) => {
      const connection = await scene.connect();
      const { namespace } = scene;
      const file = await Deno.makeTempFile();
      const app = await Deno.makeTempFile({ suffix: ".ts" });
      const name = `codec-${namespace}`;
      Object.assign(globalThis, { [name]: forgetful });
      try {
        await Deno.writeTextFile(app, `export const codec = globalThis[${JSON.stringify(name)}];`);
        await using store = await JetStreamEventStore.open(connection, { namespace });
        await store.saveEvents([...facts("order-1", 1, 1), ...facts("gone-1", 1, 2)]);
        const written = await aether(scene, "export", file, "--app", app, ...form);
        assertEquals(written.err.trim().split("\n"), [
          "3 events are written",
          "2 of them are forgotten, without data",
          "1 of them lack fields that are forgotten",
        ]);
        const lines = (await Deno.readTextFile(file)).trim().split("\n").map((it) =>
          JSON.parse(it)
        );
        const key = form.length > 0 ? "aetherforgotten" : "forgotten";
        const places = ["name", "list.0.name"];
        assertEquals(lines.map((it) => it[key]), [
          form.length > 0 ? places.join() : places,
          true,
          true,
        ]);
        const into = ["import", file, "--namespace", `${namespace}-2`, "--create"];
        for (const flags of [["--dry-run"], []]) {
          const { code, out, err } = await aether(scene, ...into, ...flags);
          assertEquals(code, 0);
          assertMatch(out, /^1 events /);
          assertEquals(err, "2 events are forgotten, and are passed over\n");
        }
        await using copy = await JetStreamEventStore.open(connection, {
          namespace: `${namespace}-2`,
        });
        const events = await Array.fromAsync(copy.readAll());
        assertEquals(events.map(({ data }) => data), [{ kept: 1, list: [{}] }]);
      } finally {
        Reflect.deleteProperty(globalThis, name);
        await Promise.all([file, app].map((path) => Deno.remove(path)));
      }
    },
  );
}

Deno.test("a line that would break a promise is refused with its number", async () => {
  for (
    const [lines, told] of [
      [["no json"], /line 1: it is no event in JSON/],
      [[line(1), "", line(1, { id: "other" })], /line 3: version 1 of "order-1" comes behind 1/],
      [[line(0)], /line 1: version/],
      [[line(1, { timestamp: "soon" })], /line 1: its timestamp is no time/],
      [[line(1, { actorId: 7 })], /line 1: its id, eventType or actorId/],
      [[line(1, { eventType: "" })], /line 1: its id, eventType or actorId/],
    ] as const
  ) {
    await using store = new InMemoryEventStore();
    const error = await assertRejects(() => importEvents(store, lines), ImportError);
    assertMatch(error.message, told);
  }
});

Deno.test("an actor with another event at that version is refused, and nothing is changed", async () => {
  await using store = new InMemoryEventStore();
  await importEvents(store, [line(1), line(2)]);
  await assertRejects(
    () => importEvents(store, [line(1, { id: "other" })]),
    ImportError,
    "another event at version 1",
  );
  assertEquals(await importEvents(store, [line(1), line(2), line(3)]), {
    saved: 1,
    present: 2,
    forgotten: 0,
    moved: 0,
  });
});

Deno.test("a transform renames, splits, drops and moves events, and versions count anew", async () => {
  await using store = new InMemoryEventStore();
  const lines = [
    line(1),
    line(2, { eventType: "Noise" }),
    line(3, { eventType: "Both", commit: "c" }),
    line(4, { commit: "c" }),
  ];
  await importEvents(store, lines, {
    transform: (event) => {
      if (event.eventType === "Noise") return undefined;
      if (event.eventType === "Placed") return { ...event, eventType: "OrderPlaced" };
      return [{ ...event, eventType: "One" }, { ...event, eventType: "Two", actorId: "other-1" }];
    },
  });
  const events = await Array.fromAsync(store.readAll());
  assertEquals(
    events.map(({ actorId, version, eventType, id }) => `${actorId} ${version} ${eventType} ${id}`),
    [
      "order-1 1 OrderPlaced e-1",
      "order-1 2 One e-3",
      "other-1 1 Two e-3-2",
      "order-1 3 OrderPlaced e-4",
    ],
  );
  assertEquals(new Set(events.slice(1).map(({ commit }) => commit.op)).size, 1);
  const failing = {
    transform: () => {
      throw new Error("no");
    },
  };
  await assertRejects(() => importEvents(store, lines, failing), ImportError, "line 1");
});

Deno.test("a transform that gives no event ends the import, instead of changing nothing", async () => {
  const gives: [unknown, RegExp][] = [
    [Promise.resolve({ eventType: "Other" }), /it gave a promise/],
    [[Promise.reject(new Error("late"))], /it gave a promise/],
    ...[null, true, 5, "text", new Map(), {}, [null]].map((
      it,
    ): [unknown, RegExp] => [it, /it gave/]),
    [{ eventType: "" }, /eventType/],
    [{ timestamp: "soon" }, /timestamp/],
  ];
  for (const [given, told] of gives) {
    await using store = new InMemoryEventStore();
    const error = await assertRejects(
      () => importEvents(store, [line(1)], { transform: () => given }),
      ImportError,
    );
    assertMatch(error.message, told);
    assertEquals(await store.getEvents("order-1"), []);
  }
});

Deno.test("lines of others are no events, and pollute nothing", () => {
  assertEquals(readLine("[1"), undefined);
  assertEquals(readLine("null"), undefined);
  readLine('{"__proto__":{"polluted":1},"specversion":"1.0","aethermetadata":"{}"}');
  assert(!("polluted" in {}));
});
