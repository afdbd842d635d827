import { assertEquals, assertMatch } from "@std/assert";
import { createEvent, type Upcasters } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { api } from "../../support/jetstream_api.ts";
import { damageTest, facts } from "./bed.ts";

/** Bodies of a message with several events, as text, and their sizes. */
function joined(events: readonly unknown[]): { body: string; sizes: string } {
  const bodies = events.map((event) => `${JSON.stringify(event)}\n`);
  return { body: bodies.join(""), sizes: bodies.map(({ length }) => length).join(" ") };
}

damageTest("genesis: a second one is reported", async (damaged) => {
  const body = JSON.stringify({ format: 1, shards: 8, identity: "other" });
  const sequence = await damaged.publish({ subject: damaged.layout.genesis, body });
  const [problem] = await damaged.breaks(["genesis"]);
  assertEquals([problem!.sequence, problem!.streamSequence], [256 * sequence, sequence]);
});

damageTest("genesis: one that is gone, and one of another store, are reported", async (damaged) => {
  const { connection, layout, store } = damaged;
  await store.saveEvent(fact("order-1", 1));
  await damaged.delete([1], { reopen: false });
  const [hole] = await damaged.breaks(["hole", "genesis"]);
  assertEquals(hole!.sequence, 256);
  const { config } = await api<{ config: unknown }>(connection, `STREAM.INFO.${layout.stream}`);
  await api(connection, `STREAM.DELETE.${layout.stream}`);
  await api(connection, `STREAM.CREATE.${layout.stream}`, config);
  await damaged.publish({ subject: layout.genesis, body: `{"format":2,"identity":"other"}` });
  await damaged.publish({ subject: layout.epoch, body: "{}" });
  const [other] = await damaged.breaks(["genesis"]);
  assertMatch(other!.message, /format 2 in place of 1.*identity "other"/);
});

damageTest("foreign-message: each kind of it is reported with its place", async (damaged) => {
  const { layout, store } = damaged;
  await store.saveEvent(fact("order-1", 1));
  const [, , , shard] = damaged.subjectOf("order-1").split(".");
  const prefix = `aether.${damaged.namespace}`;
  const wrong = [
    { subject: damaged.subjectOf("order-1"), body: "hello" },
    { subject: `${prefix}.event.${(Number(shard) + 1) % 4}.order.order-1`, body: "{}" },
    { subject: `${prefix}.event.${shard}.other.order-1`, body: "{}" },
    { subject: `${prefix}.event.0.order.order=2e1`, body: "{}" },
    { subject: `${prefix}.unborn.77.order.order-1` },
    { subject: `${prefix}.fence.77`, body: "{}" },
    { subject: `${prefix}.commit.x` },
    { subject: layout.commit(1) },
    { subject: layout.commit(1), body: "full" },
    { subject: layout.unborn("order-3", 4), body: "full" },
    { subject: layout.epoch, body: "no JSON" },
    { subject: layout.epoch, body: "{}", fields: { "Aether-Epoch": "1" } },
  ];
  const sequences: number[] = [];
  for (const raw of wrong) sequences.push(await damaged.publish(raw));
  const problems = await damaged.breaks(wrong.map(() => "foreign-message"));
  assertEquals(problems.map(({ streamSequence }) => streamSequence), sequences);
  assertEquals(problems[0]!.actorId, "order-1");
  assertMatch(problems[0]!.message, /has no Aether-Op header/);
  assertMatch(problems.at(-1)!.message, /"Aether-Epoch"/);
});

damageTest("foreign-message: an event without its compare-and-set is reported", async (damaged) => {
  await damaged.store.saveEvent(fact("order-1", 1));
  const expectation = "Nats-Expected-Last-Subject-Sequence";
  const sequence = await damaged.forge(fact("order-1", 2), 2, { [expectation]: "" });
  const [problem] = await damaged.breaks(["foreign-message"]);
  assertEquals(problem!.streamSequence, sequence);
  assertMatch(problem!.message, /without a condition/);
});

damageTest("headers: lists that do not add up are reported", async (damaged) => {
  const events = facts("order-1", 1, 2);
  const { body, sizes } = joined(events);
  const ids = events.map(({ id }) => id).join(" ");
  const fields = {
    "Aether-Id": ids,
    "Aether-Type": "Happened Happened",
    "Aether-Sizes": sizes,
    "Aether-Version": "2",
    "Aether-Previous": "0",
    "Aether-Count": "2",
  };
  const wrong: Record<string, string>[] = [
    { "Aether-Type": "Happened" },
    { "Aether-Id": events[0]!.id },
    { "Aether-Count": "1 2" },
    { "Aether-Count": "1" },
    { "Aether-Command": "a b c" },
    { "Aether-Versions": "1 2 3" },
    { "Aether-Schema": "0 1" },
    { "Aether-Previous": "x" },
    { "Aether-Sizes": "x y" },
    { "Aether-Id": `${events[0]!.id} a=zz` },
  ];
  for (const [at, changes] of wrong.entries()) {
    await damaged.forge(fact(`order-${at}`, 1), 0, { ...fields, ...changes }, body);
  }
  const problems = await damaged.breaks(wrong.map(() => "headers"));
  assertEquals(problems.map(({ streamSequence }) => streamSequence), wrong.map((_, at) => 2 + at));
  assertMatch(problems[0]!.message, /Aether-Type header has 1 values for 2 events/);
});

damageTest("body-size: sizes that are not the body's are reported", async (damaged) => {
  const events = facts("order-1", 1, 2);
  const fields = {
    "Aether-Id": events.map(({ id }) => id).join(" "),
    "Aether-Type": "Happened Happened",
    "Aether-Sizes": "10 20",
    "Aether-Version": "2",
    "Aether-Previous": "0",
    "Aether-Count": "2",
  };
  await damaged.forge(events[0]!, 0, fields, joined(events).body);
  const [problem] = await damaged.breaks(["body-size"]);
  assertMatch(problem!.message, /add up to 30, and its body has \d{3} bytes/);
});

damageTest("version-order: versions that do not grow are reported", async (damaged) => {
  const { store } = damaged;
  await store.saveEvents(facts("order-1", 1, 3));
  const again = await damaged.forge(fact("order-1", 3), 2);
  const itself = await damaged.forge(fact("order-2", 2), 0, { "Aether-Previous": "2" });
  const problems = await damaged.breaks(["version-order", "version-order"]);
  assertEquals(problems.map(({ streamSequence }) => streamSequence), [again, itself]);
  assertMatch(problems[0]!.message, /has version 3, and version 3 is stored before it/);
});

damageTest("broken-chain: events that are left out are reported", async (damaged) => {
  await damaged.store.saveEvents(facts("order-1", 1, 3));
  const skipped = await damaged.forge(fact("order-1", 9), 2);
  const [problem] = await damaged.breaks(["broken-chain"]);
  assertEquals(problem!.streamSequence, skipped);
  assertMatch(problem!.message, /events of versions 4 to 8 are missing/);
});

damageTest(
  "broken-chain and hole: an event that was deleted is reported twice",
  async (damaged) => {
    for (const event of facts("order-1", 1, 4)) await damaged.store.saveEvent(event);
    await damaged.store.saveEvent(fact("order-2", 1));
    await damaged.delete([3]);
    const [hole, chain] = await damaged.breaks(["hole", "broken-chain"]);
    assertEquals([hole!.streamSequence, chain!.streamSequence], [3, 4]);
    assertMatch(hole!.message, /message 3 is missing/);
  },
);

damageTest("broken-chain: a receipt that was deleted is reported", async (damaged) => {
  const { layout, store } = damaged;
  await damaged.publish({ subject: layout.unborn("order-1", 4) });
  await damaged.forge(fact("order-1", 1), 0, {
    ...{ "Aether-Id": "", "Aether-Type": "", "Aether-Version": "0", "Aether-Previous": "0" },
    ...{ "Aether-Count": "0", "Aether-Command": "command-1" },
  });
  await store.saveEvent(fact("order-1", 1));
  await damaged.breaks([]);
  await damaged.delete([3]);
  const [, chain] = await damaged.breaks(["hole", "broken-chain"]);
  assertMatch(chain!.message, /on the condition that the actor ends at message 3/);
});

damageTest("hole: messages at the beginning, in the middle and at the end", async (damaged) => {
  for (const event of facts("order-1", 1, 9)) await damaged.store.saveEvent(event);
  await damaged.delete([2, 3, 6, 9, 10]);
  const problems = await damaged.breaks(["hole", "broken-chain", "hole", "broken-chain", "hole"]);
  const holes = problems.filter(({ rule }) => rule === "hole");
  assertEquals(holes.map(({ streamSequence }) => streamSequence), [2, 6, 9]);
  assertMatch(holes[0]!.message, /messages 2 to 3 are missing, 2 in all/);
});

damageTest("hole: a stream that was purged is reported as a whole", async (damaged) => {
  for (const event of facts("order-1", 1, 9)) await damaged.store.saveEvent(event);
  await damaged.rebuilt(
    async (stream) => void await api(damaged.connection, `STREAM.PURGE.${stream}`),
    { reopen: false },
  );
  const [hole] = await damaged.breaks(["hole", "genesis"]);
  assertMatch(hole!.message, /messages 1 to 10 are missing/);
});

const upcasters: Upcasters = {
  Broken: [() => {
    throw new Error("no such field");
  }],
};

damageTest("unreadable-event: each cause is reported, with the next step", async (damaged) => {
  const events = Array.from({ length: 7 }, (_, at) => fact(`order-${at}`, 1));
  const event = (at: number) => events[at]!;
  await damaged.forge(event(1), 0, {}, "{");
  await damaged.forge(event(2), 0, {}, new Uint8Array([0xff, 0xfe]));
  await damaged.forge(event(3), 0, {}, "[1]");
  await damaged.forge(event(4), 0, {}, JSON.stringify({ ...event(4), data: undefined }));
  await damaged.forge(event(5), 0, { "Aether-Schema": "5" });
  const broken = createEvent({ ...event(6), eventType: "Broken" });
  await damaged.forge(broken, 0);
  const problems = await damaged.breaks(Array(6).fill("unreadable-event"));
  assertEquals(
    problems.map(({ actorId }) => actorId),
    [1, 2, 3, 4, 5, 6].map((at) => `order-${at}`),
  );
  assertMatch(problems[0]!.message, /event at version 1 of "order-1" cannot be read: .*not JSON/);
  assertMatch(problems[4]!.message, /schema 5/);
  assertMatch(problems[4]!.advice, /deploy the upcasters/);
  assertMatch(problems[5]!.message, /no such field/);
}, { upcasters });

damageTest("unreadable-event: a codec without its key is reported", async (damaged) => {
  await damaged.store.saveEvents(facts("order-1", 1, 3));
  const problems = await damaged.breaks(["unreadable-event", "unreadable-event"]);
  assertEquals(problems.map(({ sequence }) => sequence), [256 * 2 + 1, 256 * 2 + 2]);
}, {
  codec: {
    encode: (event) => new TextEncoder().encode(JSON.stringify(event)),
    decode: (bytes) => {
      const event = JSON.parse(new TextDecoder().decode(bytes));
      if (event.version > 1) throw new Error("the key is gone");
      return event;
    },
  },
});

damageTest("body-mismatch: a body that differs from its headers is reported", async (damaged) => {
  const wrong = [{ id: "x" }, { eventType: "Y" }, { actorId: "order-77" }, { version: 5 }];
  for (const [at, change] of wrong.entries()) {
    const event = fact(`order-${at}`, 1);
    await damaged.forge(event, 0, {}, JSON.stringify({ ...event, ...change }));
  }
  const problems = await damaged.breaks(wrong.map(() => "body-mismatch"));
  assertMatch(problems[0]!.message, /id "x", its message/);
  assertMatch(problems[1]!.message, /eventType "Y", its message "Happened"/);
  assertMatch(problems[2]!.message, /actorId "order-77", its message "order-2"/);
  assertMatch(problems[3]!.message, /version 5, its message 1/);
});

damageTest("duplicate-id: an id that an actor has twice is reported", async (damaged) => {
  const first = fact("order-1", 1);
  await damaged.store.saveEvent(first);
  // The store refuses an id again while it is in the actor's last message.
  await damaged.store.saveEvent(fact("order-1", 2));
  await damaged.store.saveEvent({ ...fact("order-1", 3), id: first.id });
  await damaged.store.saveEvent({ ...fact("order-2", 1), id: first.id });
  const [problem] = await damaged.breaks(["duplicate-id"]);
  assertEquals([problem!.actorId, problem!.streamSequence], ["order-1", 4]);
});

damageTest("receipt: one that does not fit is reported", async (damaged) => {
  await damaged.store.saveEvents(facts("order-1", 1, 2));
  const receipt = {
    ...{ "Aether-Id": "", "Aether-Type": "", "Aether-Version": "2", "Aether-Previous": "2" },
    ...{ "Aether-Count": "0", "Aether-Command": "command-1" },
  };
  const event = fact("order-1", 3);
  let last = await damaged.forge(event, 2, receipt, "{}");
  await damaged.breaks([]);
  const wrong = [
    damaged.forge(event, last, { ...receipt, "Aether-Command": "=" }, "{}"),
    damaged.forge(event, ++last, { ...receipt, "Aether-Previous": "2", "Aether-Count": "1" }),
    damaged.forge(event, ++last, receipt, "no JSON"),
    // Nothing says before it that the actor may have no events.
    damaged.forge(fact("order-2", 1), 0, {
      ...{ ...receipt, "Aether-Version": "0", "Aether-Previous": "0" },
    }, "{}"),
  ];
  const sequences = await Promise.all(wrong);
  const problems = await damaged.breaks(wrong.map(() => "receipt"));
  assertEquals(problems.map(({ streamSequence }) => streamSequence), sequences);
  assertMatch(problems.at(-1)!.message, /nothing before it says/);
  // A version that is not the actor's breaks the chain.
  await damaged.forge(event, last + 1, {
    ...receipt,
    ...{ "Aether-Version": "3", "Aether-Previous": "3" },
  }, "{}");
  await damaged.breaks([...wrong.map(() => "receipt" as const), "broken-chain"]);
});
