import { assert, assertEquals, assertThrows } from "@std/assert";
import { categoryOf, shardOf } from "../../../store/actor.ts";
import { Layout } from "../../../store/format/layout.ts";

// A permanent format: a change here loses stored events.
Deno.test("the names of a stream and its subjects do not change", () => {
  const layout = new Layout("shop");
  assertEquals(layout.stream, "AETHER_shop");
  assertEquals(layout.genesis, "aether.shop.genesis");
  assertEquals(layout.subjects, [
    "aether.shop.event.*.*.*",
    "aether.shop.unborn.*.*.*",
    "aether.shop.fence.*",
    "aether.shop.commit.*",
    "aether.shop.genesis",
    "aether.shop.epoch",
  ]);
  assertEquals(layout.event("order-123", 256), "aether.shop.event.189.order.order-123");
  assertEquals(layout.event("a.b-*", 256), "aether.shop.event.246.a=2Eb.a=2Eb-=2A");
  assertEquals(layout.event("solo", 1), "aether.shop.event.0.solo.solo");
  assertEquals(layout.unborn("order-123", 256), "aether.shop.unborn.189.order.order-123");
  assertEquals(layout.allUnborn("a.b", 3), "aether.shop.unborn.3.a=2Eb.*");
  assertEquals(layout.epoch, "aether.shop.epoch");
  assertEquals(layout.commit(7), "aether.shop.commit.7");
  assertEquals(layout.events(), "aether.shop.event.*.*.*");
  assertEquals(layout.events("a.b"), "aether.shop.event.*.a=2Eb.*");
  assertEquals(new Layout("eu.*").stream, "AETHER_eu=2E=2A");
});

Deno.test("categoryOf() is the id up to its first dash, or the whole id", () => {
  const known = {
    "order-1": "order",
    "order": "order",
    "a-b-c": "a",
    "-a": "-a",
    "-": "-",
    "a-": "a",
  };
  for (const [actorId, category] of Object.entries(known)) {
    assertEquals(categoryOf(actorId), category);
  }
});

Deno.test("shardOf() stays below the number of shards", () => {
  for (const shards of [1, 2, 7, 256, 65_536]) {
    for (let at = 0; at < 200; at++) {
      const shard = shardOf(`order-${at}`, shards);
      assert(Number.isInteger(shard) && shard >= 0 && shard < shards);
    }
  }
});

Deno.test("actorOf() finds the actor in the subject of an event, and in no other subject", () => {
  const layout = new Layout("shop");
  for (const actorId of ["order-1", "*", ">", "a.b", "..", " ", "漢字-1", "-", "x".repeat(200)]) {
    assertEquals(layout.actorOf(layout.event(actorId, 256)), actorId);
    assertEquals(layout.unbornActorOf(layout.unborn(actorId, 256)), actorId);
    assertEquals(layout.actorOf(layout.unborn(actorId, 256)), undefined);
    assertEquals(layout.unbornActorOf(layout.event(actorId, 256)), undefined);
  }
  const others = [
    layout.genesis,
    layout.commit(1),
    "aether.shop2.event.0.order.order-1",
    "aether.shop.event.0.order",
    "aether.shop.event.0.order.order-1.more",
    "aether.shop.event.0.order.=zz",
    "aether.shop.event.0.order.",
    "",
  ];
  for (const subject of [...others, layout.epoch]) {
    assertEquals(layout.actorOf(subject), undefined);
    assertEquals(layout.unbornActorOf(subject.replace(".event.", ".unborn.")), undefined);
  }
});

Deno.test("the longest namespace and id make a subject of at most 512 bytes", () => {
  const layout = new Layout("n".repeat(80));
  for (const actorId of ["x".repeat(200), `${"c".repeat(198)}-1`]) {
    assert(layout.event(actorId, 65_536).length <= 512);
    assert(layout.unborn(actorId, 65_536).length <= 512);
  }
});

Deno.test("a namespace that cannot be encoded in 80 bytes is a RangeError", () => {
  for (const namespace of ["", "\ud800", "n".repeat(81), "ü".repeat(14)]) {
    assertThrows(() => new Layout(namespace), RangeError);
  }
  assertEquals(new Layout("ü".repeat(13)).stream, `AETHER_${"=C3=BC".repeat(13)}`);
});
