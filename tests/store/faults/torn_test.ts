import { assert, assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact, facts, storeApart } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import type { Verdict } from "../../support/proxy.ts";

natsTest(
  "A batch saved while a page of the actor is read is seen whole or not at all",
  async (scene) => {
    const { namespace } = scene;
    await using writer = await JetStreamEventStore.open(await scene.connect(), { namespace });
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using reader = await JetStreamEventStore.open(connection, { namespace });
    await storeApart(await scene.connect(), writer, facts("order-1", 1, 100));
    // Each event is a message, for others are between them: a page ends in the middle.
    const batch = facts("order-1", 101, 450).flatMap((
      event,
    ) => [event, fact("order-2", event.version)]);
    let saved = false;
    // By the time that the first page is asked for, the history is longer than its end was.
    proxy.onClientFrame = async (frame): Promise<Verdict> => {
      if (saved || !new TextDecoder().decode(frame.payload).includes("next_by_subj")) return "pass";
      saved = true;
      await writer.saveEvents(batch);
      return "pass";
    };
    const { length } = await reader.getEvents("order-1");
    assert(saved);
    assert(length === 100 || length === 550, `${length} events are no whole batch`);
    assertEquals((await reader.getEvents("order-1")).length, 550);
  },
);

natsTest("A read waits for a leader that has the end of it a moment later", async (scene) => {
  const { namespace } = scene;
  await using writer = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await writer.saveEvents(facts("order-1", 1, 2));
  const connection = await scene.connect();
  /** Requests of the leader that find nothing yet. */
  let early = 3;
  const late = new Proxy(connection, {
    get(target, name): unknown {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "publish") return value.bind(target);
      return (subject: string, payload: string, ...rest: []) => {
        const isOfLeader = subject.startsWith("$JS.API.STREAM.MSG.GET.");
        const isOfReplica = subject.startsWith("$JS.API.DIRECT.GET.");
        const query = isOfLeader || isOfReplica ? JSON.parse(payload || "{}") : {};
        const isNext = query.next_by_subj !== undefined;
        // Behind all that is stored.
        const hidden = JSON.stringify({ ...query, seq: 1_000_000 });
        const isHidden = isNext && (isOfReplica || (isOfLeader && early-- > 0));
        target.publish(subject, isHidden ? hidden : payload, ...rest);
      };
    },
  });
  await using store = await JetStreamEventStore.open(late, { namespace });
  const versions = (await store.getEvents("order-1")).map(({ version }) => version);
  assertEquals([versions, early <= 0], [[1, 2], true]);
});
