import type { EventTooLargeError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { equal, ok, rejects } from "../assert.ts";
import { subscribed } from "../event_subscription/kit.ts";
import { areCommits } from "./commits.ts";
import { gather, holds, range, sample, samples, type StoreTest } from "./kit.ts";

/** More events than are kept together, by what there is too much of. */
type Makers = Record<string, (actorId: string, first: number) => Event[]>;

/**
 * Saves of more than is kept together, however they come; `maxBytes` is as in the suite's
 * capabilities.
 */
export function bounds(test: StoreTest, maxBytes: number = Infinity): void {
  const large = Math.min(10_000, Math.floor(maxBytes / 3));
  const many: Makers = {
    "events": (actorId, first) => samples(actorId, range(first, first + 399)),
    "bytes of data": (actorId, first) =>
      range(first, first + 19).map((version) =>
        sample({ actorId, version, data: `${version}${"x".repeat(large)}` })
      ),
    "bytes of ids and types": (actorId, first) => longNamed(actorId, range(first, first + 255)),
    "of all, and gaps": (actorId, first) => {
      const versions = range(first, first + 299).map((at) => at * 10 ** 9);
      return longNamed(actorId, versions).map((event, at) => {
        const data = "é".repeat(at % 50 === 7 ? large / 3 : at % 90);
        return at % 3 === 0
          ? sample({ actorId, version: event.version, data })
          : { ...event, data };
      });
    },
  };
  for (const [what, make] of Object.entries(many)) {
    test(`one save of too many ${what} for one message is stored whole`, async ({ open }) => {
      const store = await open();
      const events = make("a-1", 1);
      const { sequence } = await store.saveEvents(events);
      await holds(store, events);
      const all = await gather(store.readAll());
      areCommits([events], all);
      equal(all.at(-1)!.sequence, sequence, "position of the receipt");
      equal(await store.saveEvents(events), { sequence, duplicate: true }, "receipt once more");
      for (const at of [1, Math.floor(events.length / 2), events.length - 1]) {
        const from = all[at]!.sequence;
        equal(await gather(store.readAll({ from })), all.slice(at), `events from ${from}`);
        const come = await subscribed(store, { from }, all.length - at);
        equal(come, all.slice(at), `subscribed from ${from}`);
      }
    });

    test(`queued saves of too many ${what} for one message are stored, none torn`, async ({ open }) => {
      const store = await open();
      const events = make("a-1", 1);
      const saves: Event[][] = [];
      for (let at = 0; at < events.length;) {
        const length = 1 + saves.length % 3;
        saves.push(events.slice(at, at += length));
      }
      const receipts = await Promise.all(saves.map((save) => store.saveEvents(save)));
      await holds(store, events);
      const all = await gather(store.readAll());
      areCommits(saves, all);
      let end = -1;
      for (const [at, save] of saves.entries()) {
        end += save.length;
        const { sequence } = all[end]!;
        equal(receipts[at], { sequence, duplicate: false }, `receipt of save ${at}`);
        const again = await store.saveEvents(save);
        equal(again, { sequence, duplicate: true }, `receipt of save ${at} once more`);
      }
    });

    test(`a batch of several actors with too many ${what} for one message is stored whole`, async ({ open }) => {
      const store = await open();
      const [a, b, c] = ["a-1", "b-1", "c-1"].map((actorId) => make(actorId, 1));
      const half = a!.length / 2;
      const batch = [...a!.slice(0, half), ...b!, ...a!.slice(half), ...c!.slice(0, half)];
      const expect = [{ actorId: "a-1", version: 0 }, { actorId: "nobody-1", version: 0 }];
      const { sequence } = await store.saveEvents(batch, { expect });
      await holds(store, batch);
      const all = await gather(store.readAll());
      equal(all.map(({ id }) => id), batch.map(({ id }) => id), "ids in the order of the store");
      areCommits([batch], all);
      equal(all.at(-1)!.sequence, sequence, "position of the receipt");
      equal(await store.saveEvents(batch), { sequence, duplicate: true }, "receipt once more");
    });
  }

  test("256 events with ids and types of 200 bytes are found by them", async ({ open }) => {
    const store = await open();
    const events = longNamed("a-1", range(1, 256));
    await store.saveEvents(events);
    for (const at of [0, 100, 255]) {
      const { eventType, id } = events[at]!;
      const [found, ...others] = await gather(
        store.readAll({ filter: { eventTypes: [eventType] } }),
      );
      equal([found!.id, others.length], [id, 0], "id and number of others");
    }
  });
}

/** Events that are too large for others beside them, and too large at all. */
export function tooLarge(test: StoreTest, maxBytes: number): void {
  test("the largest events are saved along with others", async ({ open }) => {
    const store = await open();
    const events = range(1, 9).map((version) => {
      const event = sample({ actorId: "a-1", version });
      return version % 3 === 0 ? filled(event, maxBytes) : event;
    });
    await store.saveEvents(events);
    const more = range(10, 18).map((version) => {
      const event = sample({ actorId: "a-1", version });
      return version % 3 === 0 ? filled(event, maxBytes - version) : event;
    });
    await Promise.all(more.map((event) => store.saveEvent(event)));
    await holds(store, [...events, ...more]);
    areCommits([events, ...more.map((event) => [event])], await gather(store.readAll()));
  });

  test("an event that is too large keeps its whole save away, and no other", async ({ open }) => {
    const store = await open();
    const good = samples("a-1", range(1, 20));
    const over = filled(sample({ actorId: "a-1", version: 30 }), maxBytes + 1);
    const saves = good.map((event) => store.saveEvent(event));
    const refused = rejects<EventTooLargeError>(
      () => store.saveEvents([...samples("a-1", range(21, 29)), over, ...samples("b-1", [1])]),
      "EventTooLargeError",
    );
    const rest = samples("a-1", range(31, 50));
    saves.push(...rest.map((event) => store.saveEvent(event)));
    const { size, limit } = await refused;
    equal([size, limit], [maxBytes + 1, maxBytes], "size and limit");
    await Promise.all(saves);
    await holds(store, [...good, ...rest]);
    ok((await store.getEvents("b-1")).length === 0, "nothing of the refused save is stored");
  });
}

/** Events whose ids and types have 200 bytes. */
function longNamed(actorId: string, versions: readonly number[]): Event[] {
  return versions.map((version) => {
    const name = (start: string) => `${start}-${actorId}-${version}-`.padEnd(200, "x");
    return sample({ actorId, version, id: name("i"), eventType: name("t") });
  });
}

/** `event` with data that makes it just `bytes` long. */
export function filled(event: Event, bytes: number): Event {
  const start = typeof event.data === "string" ? event.data : "";
  const { length } = new TextEncoder().encode(JSON.stringify({ ...event, data: start }));
  return { ...event, data: start + "x".repeat(bytes - length) };
}
