import { assertEquals, assertMatch } from "@std/assert";
import { JetStreamEventStore, KvCheckpointStore, Projection } from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { aether, bare } from "./bed.ts";

for (const namespace of ["shop.eu", "my shop", "büro", "a>b*", "shop_eu"]) {
  natsTest(`each verb opens namespace "${namespace}"`, async (scene) => {
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvent(fact("order-1", 1));
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    for (const name of ["table", "process:order"]) {
      await using projection = new Projection({ name, store, checkpoints, handler: () => {} });
      const running = projection.run();
      await projection.caughtUp;
      await projection[Symbol.asyncDispose]();
      await running;
    }
    const run = async (...args: string[]) => await aether(scene, ...args, "--namespace", namespace);
    assertMatch((await run("show", "order-1")).out, /^1 /);
    assertMatch((await run("actors")).out, /^order-1 at 1/);
    assertMatch((await run("tail", "--from", "start", "--limit", "1")).out, /order-1 1/);
    assertMatch((await run("projections")).out, /^table: .* 0 messages behind$/m);
    assertEquals((await run("processes")).err, "No process is open\n");
    assertMatch((await run("cluster")).err, /There is no cluster/);
    assertMatch((await run("export")).out, /"actorId":"order-1"/);
    assertMatch((await run("verify")).out, /no rule is broken/);
    assertMatch((await run("restored", "--yes")).out, /from now on/);
  });
}

Deno.test("a namespace that no store can have ends with 2", async () => {
  for (const namespace of ["", "x".repeat(100), "a\ud800"]) {
    const { code, err } = await bare("show", "order-1", "--namespace", namespace);
    assertEquals(code, 2);
    assertMatch(err, /--namespace: .*/);
  }
});

natsTest("a server without JetStream is told as such, by each verb", async (scene) => {
  for (
    const args of [["actors"], ["projections"], ["restored", "--yes"], ["import", "/dev/null"]]
  ) {
    const { code, err } = await aether(scene, ...args);
    assertEquals(code, 1);
    assertMatch(err, /^Cannot open namespace "\S+": the server has no JetStream; turn it on/);
  }
}, { server: { jetstream: false } });

natsTest("a file that is not there is told, and no store is made for it", async (scene) => {
  const { code, err } = await aether(scene, "import", "/nowhere.jsonl", "--create");
  assertEquals([code, err], [1, "Cannot access /nowhere.jsonl: no such file or directory\n"]);
  assertMatch((await aether(scene, "actors")).err, /There is no store/);
});
