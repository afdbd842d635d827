import { assert, assertEquals, assertMatch } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { type Config, configFor, create, refusal, snapshot } from "./open_streams.ts";

interface Case {
  /** Differences from the store's own configuration. */
  readonly set: (namespace: string) => Config;
  /** The problem that the error lists. */
  readonly problem: RegExp;
  /** Changes after the stream was made. */
  readonly update?: Config;
}

const CASES: Record<string, Case> = {
  "that drops what was consumed": {
    set: () => ({ retention: "interest" }),
    problem: /^retention is "interest" and must be "limits"$/,
  },
  "that is a work queue": {
    set: () => ({ retention: "workqueue" }),
    problem: /^retention is "workqueue" and must be "limits"$/,
  },
  "in memory": { set: () => ({ storage: "memory" }), problem: /^storage is "memory" and must/ },
  "that drops old events when full": {
    set: () => ({ discard: "old" }),
    problem: /^discard is "old" and must be "new"$/,
  },
  "with an age limit": {
    set: () => ({ max_age: 3_600_000_000_000 }),
    problem: /^max_age is 3600000000000 and must be 0$/,
  },
  "with a limit on messages": {
    set: () => ({ max_msgs: 1_000 }),
    problem: /^max_msgs is 1000 and must be -1$/,
  },
  "with a limit on an actor's events": {
    set: () => ({ max_msgs_per_subject: 10 }),
    problem: /^max_msgs_per_subject is 10 and must be -1$/,
  },
  "that keeps as many of an actor's events as fit": {
    set: () => ({ max_msgs_per_subject: 10, discard_new_per_subject: true }),
    problem: /^discard_new_per_subject is set, so it limits/,
  },
  "from which events can be deleted": {
    set: () => ({ deny_delete: false }),
    problem: /^deny_delete is (false|undefined) and must be true$/,
  },
  "that can be purged": {
    set: () => ({ deny_purge: false }),
    problem: /^deny_purge is (false|undefined) and must be true$/,
  },
  "without direct reads": {
    set: () => ({ allow_direct: false }),
    problem: /^allow_direct is (false|undefined) and must be true$/,
  },
  "without atomic batches": {
    set: () => ({ allow_atomic: false }),
    problem: /^allow_atomic is (false|undefined) and must be true$/,
  },
  "without acks": { set: () => ({ no_ack: true }), problem: /^no_ack is set/ },
  "that mirrors another": {
    set: () => ({ subjects: [], mirror: { name: "OTHER" }, allow_atomic: false }),
    problem: /^mirror is set, so it is a copy/,
  },
  "that reads from a mirror's copies": {
    set: () => ({
      subjects: [],
      mirror: { name: "OTHER" },
      mirror_direct: true,
      allow_atomic: false,
    }),
    problem: /^mirror_direct is set/,
  },
  "that takes in others": {
    set: () => ({ sources: [{ name: "OTHER" }] }),
    problem: /^sources is set, so it takes in/,
  },
  "that renames subjects": {
    set: (namespace) => ({
      subject_transform: {
        src: `aether.${namespace}.event.*.*.*`,
        dest: "moved.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}",
      },
    }),
    problem: /^subject_transform is set/,
  },
  "that allows rollups": {
    set: () => ({ allow_rollup_hdrs: true, deny_purge: false }),
    problem: /^allow_rollup_hdrs is set, so a rollup deletes/,
  },
  "that lets events expire": {
    set: () => ({ allow_msg_ttl: true }),
    problem: /^allow_msg_ttl is set/,
  },
  "with markers for what expired": {
    set: () => ({ allow_msg_ttl: true, subject_delete_marker_ttl: 60_000_000_000 }),
    problem: /^subject_delete_marker_ttl is set, so it turns deny_purge off$/,
  },
  "with schedules": {
    set: () => ({ allow_msg_schedules: true, discard: "old" }),
    problem: /^allow_msg_schedules is set/,
  },
  "that counts": {
    set: () => ({ allow_msg_counter: true, discard: "old" }),
    problem: /^allow_msg_counter is set/,
  },
  "that acknowledges before it stores": {
    set: () => ({ persist_mode: "async", allow_atomic: false }),
    problem: /^persist_mode is "async"/,
  },
  "that is sealed": { set: () => ({}), update: { sealed: true }, problem: /^sealed is set/ },
  "with fewer subjects": {
    set: (namespace) => ({ subjects: [`aether.${namespace}.event.*.*.*`] }),
    problem: /^its subjects are ".*" and must be "/,
  },
  "with other subjects": {
    set: (namespace) => ({ subjects: [`aether.${namespace}.>`] }),
    problem: /^its subjects are ".*>" and must be "/,
  },
};

for (const [what, { set, problem, update }] of Object.entries(CASES)) {
  natsTest(`open() refuses a stream ${what}, and leaves it unchanged`, async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await create(connection, { name: "OTHER", subjects: ["other"], allow_direct: true });
    const config = { ...configFor(namespace), ...set(namespace) };
    const stream = String(config.name);
    await create(connection, config);
    if (update) await api(connection, `STREAM.UPDATE.${stream}`, { ...config, ...update });
    const before = await snapshot(connection, stream);
    const error = await refusal(connection, { namespace });
    assertEquals(error.stream, stream);
    assert(error.problems.some((it) => problem.test(it)), error.problems.join("\n"));
    assertMatch(error.message, /^Cannot open stream "AETHER_/);
    assertEquals(await snapshot(connection, stream), before);
  });
}

natsTest("open() lists all problems at once", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await create(connection, { ...configFor(namespace), storage: "memory", max_msgs: 9 });
  const { problems } = await refusal(connection, { namespace });
  assertEquals(problems.map((problem) => problem.split(" ")[0]).sort(), ["max_msgs", "storage"]);
});

natsTest("Control: open() takes the same stream without a fault", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await create(connection, configFor(namespace));
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await store.saveEvent(fact("order-1", 1));
  assertEquals((await store.getEvents("order-1")).length, 1);
});
