import { assertEquals } from "@std/assert";
import {
  type CheckpointStore,
  InMemoryCheckpointStore,
  KvCheckpointStore,
} from "../../../store/mod.ts";
import { OpenIndex, type OpenItem } from "../../../store/process/open_index.ts";
import { natsTest } from "../../support/fixture.ts";

const ITEM: OpenItem = {
  ...{ actorId: "process:p-1", version: 1, sequence: 1, eventId: "event" },
  ...{ name: "command", lane: "order-1" },
};

Deno.test("an index gives what was saved last, to the same store", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, "agenda", "a");
  await index.save({ sequence: 9, items: [ITEM] });
  assertEquals(await index.load(), { sequence: 9, items: [ITEM] });
  const nothing = { sequence: 0, items: [] };
  assertEquals(await new OpenIndex(checkpoints, "agenda", "b").load(), nothing);
});

Deno.test("an index of two writings is none", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, "agenda", "a");
  await index.save({ sequence: 9, items: [ITEM] });
  // Another program writes its items, and dies before it writes where they begin.
  const items = [{ ...ITEM, name: "later" }];
  const body = JSON.stringify({ nonce: "another", items });
  await checkpoints.save("agenda.0", { revision: 2, body });
  assertEquals(await index.load(), { sequence: 0, items: [] });
});

Deno.test("an index is written though another program has written it since", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const [one, other] = [1, 2].map(() => new OpenIndex(checkpoints, "agenda", "a"));
  for (const [at, index] of [one!, other!, one!, one!, other!].entries()) {
    const items = [{ ...ITEM, name: `${at}` }];
    await index.save({ sequence: at, items });
    assertEquals(await new OpenIndex(checkpoints, "agenda", "a").load(), { sequence: at, items });
  }
});

/** Damages the records of an index one after the other: each time it is nothing, and is written anew. */
async function isMadeAnew(
  checkpoints: CheckpointStore,
  damages: readonly ((name: string) => Promise<unknown>)[],
) {
  const saved = { sequence: 9, items: [ITEM] };
  const index = new OpenIndex(checkpoints, "agenda", "a");
  for (const damage of damages) {
    for (const name of ["head", "0"]) {
      await index.save(saved);
      await damage(`agenda.${name}`);
      assertEquals(await index.load(), { sequence: 0, items: [] });
      await index.save(saved);
      assertEquals(await new OpenIndex(checkpoints, "agenda", "a").load(), saved);
      await damage(`agenda.${name}`);
      await new OpenIndex(checkpoints, "agenda", "a").save(saved);
      assertEquals(await index.load(), saved);
    }
  }
}

Deno.test("an index that is damaged is none, and is written anew", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const damages = ["garbage", "null", '{"identity":"a"}', '{"items":[{"actorId":"process:p-1"}]}']
    .map((body) => async (key: string) => {
      const { revision = 0 } = await checkpoints.load(key) ?? {};
      await checkpoints.save(key, { revision: revision + 1, body });
    });
  await isMadeAnew(checkpoints, damages);
});

natsTest("an index that is damaged in its bucket is none, and is written anew", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  const damages = ["garbage", "7 garbage", ""].map((value) => (key: string) =>
    connection.request(`$KV.${checkpoints.bucket}.checkpoint.${key}`, value)
  );
  await isMadeAnew(checkpoints, damages);
});
