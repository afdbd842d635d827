import { assertMatch, assertRejects } from "@std/assert";
import type { Connection } from "../../store/connection.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { EXPECT, EXPECT_SUBJECT } from "../../store/format/headers.ts";
import { eventStoreSuite } from "../../testing/event_store/suite.ts";
import { natsTest, type Scene } from "../support/fixture.ts";

/** `connection` without the compare-and-set: its publishes expect nothing. */
function unguarded(connection: Connection): Connection {
  const publish: Connection["publish"] = (subject, payload, options) => {
    for (const name of [EXPECT, EXPECT_SUBJECT]) options?.headers?.delete(name);
    connection.publish(subject, payload, options);
  };
  return new Proxy(connection, {
    get(target, name) {
      if (name === "publish") return publish;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Runs one test of the suite on stores whose connections lack the compare-and-set. */
async function run(scene: Scene, wanted: string): Promise<void> {
  const tests = new Map<string, () => Promise<void>>();
  eventStoreSuite({
    test: (name, run) => void tests.set(name, run),
    create: async (options) =>
      await JetStreamEventStore.open(unguarded(await scene.connect()), options),
    capabilities: { reopen: true, maxBytes: undefined },
  });
  await tests.get(wanted)!();
}

natsTest(
  "without the server's compare-and-set several writers win at one version",
  async (scene) => {
    const wanted = "exactly one of many writers at one version in two stores wins";
    const error = await assertRejects(() => run(scene, wanted), Error);
    assertMatch(error.message, /number of winners at version \d+ to be 1, got [2-9]/);
  },
);

natsTest("without the server's compare-and-set updates are lost", async (scene) => {
  const wanted = "writers in two stores that read, decide and retry lose no update";
  await assertRejects(() => run(scene, wanted), Error);
});

natsTest(
  "without the server's compare-and-set saves that exclude each other are both stored",
  async (scene) => {
    const wanted = "saves of two stores that exclude each other are never both stored";
    const error = await assertRejects(() => run(scene, wanted), Error);
    assertMatch(error.message, /one of two stays/);
  },
);
