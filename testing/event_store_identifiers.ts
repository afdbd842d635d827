import type { EventStore } from "../store/store.ts";
import { equal, ok, rejects } from "./assert.ts";
import { holds, range, sample, samples, type Test, versionsOf } from "./event_store_kit.ts";

/** Ids that a subject, a header or a pattern could take for something else. */
const HOSTILE = [
  "*",
  ">",
  "a.b",
  "a.*",
  "a.>",
  "a-*",
  "*-a",
  ".",
  "..",
  "a..b",
  ".a",
  "a.",
  "-",
  "--",
  "-a",
  "a-",
  "a--b",
  "=",
  "=2A",
  "%2A",
  "%",
  "a%2Eb",
  "a=2Eb",
  "$JS.API.>",
  "$SYS",
  "_INBOX.x",
  "genesis",
  " ",
  " a",
  "a ",
  "a b",
  "\t",
  "\r\n",
  "a\r\nNats-Rollup: all",
  "a\nb",
  "\0",
  "a\0b",
  "\v",
  "\f",
  "\u00a0",
  "a\u00a0",
  "\u2028",
  "a\u2029",
  "\ufeffa",
  "\u200b",
  "\u202ea",
  "\ufffd",
  "\uffff",
  "é",
  "e\u0301",
  "漢字-1",
  "אבג",
  "ελλ",
  "😀",
  "👩‍👩‍👧",
  "\u{10ffff}",
  "A",
  "a",
  "__proto__",
  "constructor",
  "/etc/passwd",
  "'; --",
  '"',
  "\\",
  "~!@#^&()+[]{}|:;,<?`",
  "x".repeat(200),
  `${"c".repeat(198)}-1`,
  `c-${"x".repeat(198)}`,
  "ü".repeat(33),
] as const;

/** Ids that no store takes, for they cannot be encoded or would not fit. */
const IMPOSSIBLE = [
  "",
  "\ud800",
  "\udc00",
  "a\ud800b",
  "\udc00\ud800",
  "x".repeat(201),
  "x".repeat(1024),
  "ü".repeat(34),
  `${"c".repeat(1024)}-1`,
  " ".repeat(67),
] as const;

/** Actors that a mistaken pattern would reach. */
const NEIGHBOURS = ["a", "b", "a-b", "a-1", "order-1", "2A", "x"] as const;

/** Promise 8: bad input never reaches another actor. */
export function identifiers(test: Test): void {
  test("a hostile actor id reaches its own events and no others", async ({ open }) => {
    const store = await open();
    // Every actor has a history that tells it from all others.
    const actors = [...new Set([...NEIGHBOURS, ...HOSTILE])];
    const histories = actors.map((actorId, at) => samples(actorId, [1, at + 2]));
    for (const actorId of actors) {
      equal(await store.getLatestVersion(actorId), 0, `version of ${JSON.stringify(actorId)}`);
    }
    for (const history of histories) await store.saveEvents(history);
    for (const history of histories) await holds(store, history);
    for (const [at, actorId] of actors.entries()) {
      await rejects(
        () => store.saveEvent(sample({ actorId, version: at + 2 })),
        "VersionConflictError",
        JSON.stringify(actorId),
      );
      const expect = [{ actorId, version: at + 2 }];
      await store.saveEvents([sample({ actorId: "last-1", version: at + 1 })], { expect });
    }
    for (const history of histories) await holds(store, history);
  });

  test("hostile ids and types of events come back as they were", async ({ open }) => {
    const store = await open();
    const ids = [...new Set(HOSTILE)];
    const events = ids.map((id, at) => sample({ id, eventType: id, version: at + 1 }));
    const single = events.slice(0, 20);
    for (const event of single) await store.saveEvent(event);
    const { sequence } = await store.saveEvents(events.slice(20));
    await holds(store, events);
    equal(
      await store.saveEvents(events),
      { sequence, duplicate: true },
      "receipt of a repetition",
    );
  });

  test("hostile strings stay where they are in data and metadata", async ({ open }) => {
    const store = await open();
    const events = HOSTILE.map((text, at) =>
      sample({ version: at + 1, data: { [text]: text }, metadata: { [text]: text } })
    );
    await store.saveEvents(events);
    await holds(store, events.map((event) => structuredClone(event)));
  });

  test("an impossible id is refused and changes nothing", async ({ open }) => {
    const store = await open();
    const neighbours = NEIGHBOURS.flatMap((actorId) => samples(actorId, range(1, 3)));
    await store.saveEvents(neighbours);
    for (const actorId of IMPOSSIBLE) {
      const what = JSON.stringify(actorId.slice(0, 20));
      const event = sample({ actorId, version: 9 });
      await rejects(() => store.saveEvent(event), "InvalidEventError", what);
      await rejects(() => store.getEvents(actorId), "RangeError", what);
      await rejects(() => store.getLatestVersion(actorId), "RangeError", what);
    }
    await holds(store, neighbours);
    await works(store);
  });
}

/** Whether the store still does what it is for. */
async function works(store: EventStore): Promise<void> {
  const { duplicate } = await store.saveEvent(sample({ actorId: "works-1" }));
  ok(!duplicate, "the event is new");
  equal(await versionsOf(store, "works-1"), [1], "versions");
}
