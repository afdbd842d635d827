import { assert, assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
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
    const facts = (from: number, count: number) =>
      Array.from({ length: count }, (_, at) => fact("order-1", from + at));
    await writer.saveEvents(facts(1, 10));
    let saved = false;
    // By the time that the first page is asked for, the history is longer than its end was.
    proxy.onClientFrame = async (frame): Promise<Verdict> => {
      if (saved || !new TextDecoder().decode(frame.payload).includes("next_by_subj")) return "pass";
      saved = true;
      await writer.saveEvents(facts(11, 600));
      return "pass";
    };
    const { length } = await reader.getEvents("order-1");
    assert(saved);
    assert(length === 10 || length === 610, `${length} events are no whole batch`);
    assertEquals((await reader.getEvents("order-1")).length, 610);
  },
);
