import { assertEquals } from "@std/assert";
import { type Decider, type Event, executeAll } from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { claimAll, nodeOf } from "./bed.ts";

type Moved = Event<"Moved", number>;

const account: Decider<number, number, Moved> = {
  initialState: () => 0,
  evolve: (balance, { data }) => balance + data,
  decide: (by) => [{ eventType: "Moved", data: by }, { eventType: "Moved", data: by }],
};

const part = (actorId: string) => ({ actorId, decider: account, command: 1 });

natsTest(
  "Calls on several actors under fences are one commit each, and know their places",
  async (scene) => {
    await using a = await nodeOf(scene, "a");
    await claimAll(a, 1);
    const calls = Array.from({ length: 8 }, (_, at) => {
      const parts = [part(`from-${at}`), part(`to-${at}`), part(`from-${at}`)];
      return executeAll(a.store, parts, { commandId: `transfer-${at}` });
    });
    const results = await Promise.all(calls);
    const stored = await Array.fromAsync(a.store.readAll());
    const ops = new Set<string>();
    for (const call of results) {
      const events = call.flatMap(({ events, sequence }) => {
        const own = events.map(({ id }) => stored.find((event) => event.id === id)!);
        assertEquals(own.at(-1)!.sequence, sequence);
        return own;
      });
      assertEquals(events.map(({ commit: { index, count } }) => [index, count]), [
        ...[[0, 6], [1, 6], [2, 6], [3, 6], [4, 6], [5, 6]],
      ]);
      assertEquals(new Set(events.map(({ commit }) => commit.op)).size, 1);
      ops.add(events[0]!.commit.op);
    }
    assertEquals(ops.size, 8);
  },
);
