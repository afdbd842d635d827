import { assert, assertEquals } from "@std/assert";
import type { Committer } from "../../../store/save/committer.ts";
import {
  type Event,
  isAetherError,
  SaveOutcomeUnknownError,
  VersionConflictError,
} from "../../../store/mod.ts";
import { prepareEvents } from "../../../store/check/events.ts";
import { unavailable } from "../../../store/check/refusals.ts";
import type { Save } from "../../../store/save/messages.ts";
import { SaveQueue } from "../../../store/save/queue.ts";
import { StoredNotifier } from "../../../store/event_stored.ts";
import type { SaveReceipt } from "../../../store/options.ts";
import { fact } from "../../support/fault.ts";
import { seededRandom } from "../../support/proxy.ts";

/** Decides saves as a server would, after a while, with mishaps; checks what it is given. */
class Server {
  /** Events in the order they were stored. */
  readonly log: { id: string; actorId: string; version: number }[] = [];
  readonly sizes: number[] = [];
  /** Unexpected outcomes. */
  readonly wrong: string[] = [];
  readonly #busy = new Set<string>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  partOf(error: SaveOutcomeUnknownError, { events: [first] }: Pick<Save, "events">) {
    return new SaveOutcomeUnknownError(first!.actorId, first!.version, () => error.settle());
  }

  async commit({ events, actors, expect, signal }: Save): Promise<SaveReceipt> {
    for (const actorId of actors) {
      if (this.#busy.has(actorId)) this.wrong.push(`Two saves of ${actorId} are under way`);
      this.#busy.add(actorId);
    }
    this.sizes.push(events.length);
    try {
      if (signal?.aborted) throw unavailable(events[0]!, signal.reason);
      for (let turns = this.#random() * 30; turns > 0; turns--) await undefined;
      const mishap = this.#random();
      if (mishap < 0.05) throw unavailable(events[0]!, new Error("mishap"));
      const head = (actorId: string) =>
        this.log.findLast((event) => event.actorId === actorId)?.version ?? 0;
      const places = events.map(({ id }) => this.log.findIndex((stored) => stored.id === id));
      if (places.every((at) => at >= 0)) {
        return { sequence: Math.max(...places) + 1, duplicate: true };
      }
      for (const { actorId, version } of events) {
        if (version > head(actorId)) continue;
        throw new VersionConflictError(actorId, version, head(actorId));
      }
      for (const [actorId, version] of expect) {
        if (head(actorId) === version) continue;
        const attempted = events.find((event) => event.actorId === actorId)!.version;
        throw new VersionConflictError(actorId, attempted, head(actorId));
      }
      const stored = mishap > 0.08 || mishap < 0.065;
      if (stored) this.log.push(...events);
      if (mishap > 0.08) return { sequence: this.log.length, duplicate: false };
      const { actorId, version } = events[0]!;
      throw new SaveOutcomeUnknownError(
        actorId,
        version,
        () => Promise.resolve(stored ? "saved" : "not-saved"),
      );
    } finally {
      for (const actorId of actors) this.#busy.delete(actorId);
    }
  }
}

/** One random schedule; gives the sizes of what was committed. */
async function play(seed: number): Promise<number[]> {
  const random = seededRandom(seed);
  const pick = (count: number) => Math.floor(random() * count);
  const server = new Server(random);
  const told: string[] = [];
  const notifier = new StoredNotifier("test", {
    broadcaster: {
      publish: (_, event) => void told.push((event.data as { eventId: string }).eventId),
    },
  });
  const queue = new SaveQueue(server as unknown as Committer, notifier);
  const encoder = new TextEncoder();
  const codec = {
    encode: (event: Event) => {
      const body = encoder.encode(event.id);
      return event.version % 17 === 0 ? Promise.resolve(body) : body;
    },
    decode: () => ({}) as Event,
  };
  const versions = new Map<string, number>();
  const saves: {
    events: Event[];
    expect: ReadonlyMap<string, number>;
    end: Promise<PromiseSettledResult<SaveReceipt>>;
  }[] = [];
  for (let count = 0; count < 120; count++) {
    const first = `a-${pick(3)}`;
    const actors = pick(6) === 0 ? [...new Set([first, `a-${pick(3)}`])] : [first];
    const before = versions.get(first) ?? 0;
    let events = actors.flatMap((actorId) =>
      Array.from({ length: 1 + pick(2) }, () => {
        const version = (versions.get(actorId) ?? 0) + 1 + (pick(10) === 0 ? 1 : 0);
        versions.set(actorId, version);
        return fact(actorId, version);
      })
    );
    if (saves.length > 0 && pick(12) === 0) events = saves[pick(saves.length)]!.events;
    const checked = prepareEvents(events, { maxBytes: 2 ** 20, codec, upcasters: {} });
    const controller = new AbortController();
    const signal = pick(8) === 0 ? controller.signal : undefined;
    if (signal !== undefined && pick(2) === 0) {
      const abort = async (turns: number) => {
        while (turns-- > 0) await undefined;
        controller.abort(new Error("no patience"));
      };
      abort(pick(100));
    }
    const plan = {
      op: String(count),
      actors: [...new Set(events.map(({ actorId }) => actorId))],
      expect: new Map(
        pick(4) === 0 && events[0]!.actorId === first ? [[first, before] as const] : [],
      ),
      deadline: performance.now() + 600_000,
      signal,
      parts: [{ events: events.length }],
      maxBytes: 2 ** 20,
    };
    const save = queue.save(plan, checked);
    saves.push({
      events,
      expect: plan.expect,
      end: Promise.allSettled([save]).then(([end]) => end!),
    });
    for (let turns = pick(4) === 0 ? pick(60) : 0; turns > 0; turns--) await undefined;
  }
  await queue.idle();
  const places = new Map(server.log.map(({ id }, at) => [id, at + 1]));
  assertEquals(places.size, server.log.length, "An event is stored twice");
  const stored = new Set<string>();
  assertEquals(server.wrong, []);
  for (const { events, expect, end } of saves) {
    const result = await end;
    const last = places.get(events.at(-1)!.id);
    if (result.status === "fulfilled") {
      const { sequence, duplicate } = result.value;
      const position = duplicate ? Math.max(...events.map(({ id }) => places.get(id)!)) : last;
      assertEquals(sequence, position);
      if (duplicate) continue;
      events.forEach(({ id }) => stored.add(id));
      const first = server.log.findIndex(({ id }) => id === events[0]!.id);
      for (const [actor, version] of expect) {
        const before = server.log.slice(0, first).findLast(({ actorId }) => actorId === actor);
        assertEquals(before?.version ?? 0, version, "Something else was expected");
      }
    } else if (isAetherError(result.reason, "SaveOutcomeUnknownError")) {
      const { actorId, version } = result.reason;
      assertEquals([actorId, version], [events[0]!.actorId, events[0]!.version]);
      // If the same was saved again, that save may be the stored one.
      if (saves.filter((save) => save.events === events).length > 1) continue;
      assertEquals(await result.reason.settle(), last === undefined ? "not-saved" : "saved");
    } else {
      const { reason } = result;
      assert(isAetherError(reason), String(reason));
      if (!isAetherError(reason, "VersionConflictError")) continue;
      const named = events.some(({ actorId, version }) =>
        actorId === reason.actorId && version === reason.attemptedVersion
      );
      assert(named, `It is told of another: ${reason.message}`);
    }
  }
  assertEquals(told.filter((id) => stored.has(id)).length, told.length, "Too much was told");
  assertEquals(told.length, stored.size);
  // In the store's own order, of each actor.
  for (const actor of ["a-0", "a-1", "a-2"]) {
    const mine = (id: string) =>
      server.log.some((event) => event.id === id && event.actorId === actor);
    const order = told.filter(mine);
    assertEquals(order, order.toSorted((one, two) => places.get(one)! - places.get(two)!));
  }
  return server.sizes;
}

Deno.test("Random queues of saves: one at a time per actor, each reported once and correctly", async () => {
  const rounds = Deno.env.get("AETHER_LONG") === undefined ? 200 : 5_000;
  let groups = 0;
  for (let seed = 1; seed <= rounds; seed++) {
    try {
      const sizes = await play(seed);
      groups += sizes.filter((size) => size > 4).length;
    } catch (error) {
      throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  assert(groups > rounds, `Only ${groups} groups`);
});
