import type { Event } from "../../store/event.ts";
import type { ReadOptions } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects, within } from "../assert.ts";
import {
  gather,
  HeldCodec,
  JsonCodec,
  learns,
  nextOf,
  range,
  readPaths,
  sample,
  samples,
  type StoreTest,
  turns,
} from "./kit.ts";
import { WRONG_NUMBERS } from "../values.ts";

/** `readEvents()`: any part of a history, in either direction. */
export function ranges(test: StoreTest, together: StoreTest): void {
  test("readEvents() yields the requested part of getEvents()", async ({ open }) => {
    const store = await open();
    const versions = [1, 2, 3, 7, 1000, 10 ** 12, 10 ** 12 + 1, Number.MAX_SAFE_INTEGER];
    await store.saveEvents(samples("order-1", versions.slice(0, 5)));
    await store.saveEvents(samples("order-2", range(1, 9)));
    for (const event of samples("order-1", versions.slice(5))) await store.saveEvent(event);
    const bounds = [undefined, 0, 1, 3, 5, 1000, 10 ** 12, Number.MAX_SAFE_INTEGER];
    for (const fromVersion of bounds) {
      const rest = await store.getEvents("order-1", fromVersion);
      await Promise.all(
        bounds.flatMap((toVersion) =>
          [undefined, 0, 1, 3, 99].flatMap((limit) =>
            (["forwards", "backwards", undefined] as const).map(async (direction) => {
              const options = given({ fromVersion, toVersion, limit, direction });
              const events = await gather(store.readEvents("order-1", options));
              equal(events, partOf(rest, options), `events of ${JSON.stringify(options)}`);
            })
          )
        ),
      );
    }
  });

  test("readEvents() finds its way over gaps in a long history", async ({ open }) => {
    const store = await open();
    const versions = [
      ...range(1, 700),
      ...range(1, 300).map((at) => 10_000 + at * 1000),
      ...range(1, 700).map((at) => 10 ** 13 + at),
    ];
    for (let at = 0; at < versions.length; at += 340) {
      await store.saveEvents(samples("order-1", versions.slice(at, at + 340)));
      await store.saveEvents(samples("order-2", range(at + 1, at + 50)));
    }
    const all = await store.getEvents("order-1");
    equal(all.length, versions.length, "number of events");
    const parts: ReadOptions[] = [
      {},
      { limit: 10 },
      { limit: 600 },
      { fromVersion: 500, toVersion: 3 },
      { fromVersion: 690, toVersion: 12_500 },
      { fromVersion: 400, limit: 400 },
      { toVersion: 10 ** 13, limit: 2 },
      { fromVersion: 701, toVersion: 11_000 },
      { fromVersion: 701, toVersion: 10_999 },
      { fromVersion: 310_001, toVersion: 10 ** 13 },
      { fromVersion: 300_000 },
      { fromVersion: 10 ** 13 + 701 },
    ];
    for (const part of parts) {
      for (const direction of ["forwards", "backwards"] as const) {
        const options = { ...part, direction };
        const seen = (await gather(store.readEvents("order-1", options))).map(versionOf);
        const wanted = partOf(all, options).map(versionOf);
        equal(seen, wanted, `versions of ${JSON.stringify(options)}`);
      }
    }
  });

  test("a read with a limit does not depend on the events behind it", async ({ open }) => {
    const codec = new class extends JsonCodec {
      override decode(bytes: Uint8Array): Event {
        const event = super.decode(bytes) as Event;
        if (event.version === 3) throw new Error("version 3 cannot be read");
        return event;
      }
    }();
    const store = await open({ codec });
    for (
      const [actorId, parts] of [["apart-1", [[1], [2], [3]]], ["one-1", [[1, 2, 3]]]] as const
    ) {
      for (const versions of parts) await store.saveEvents(samples(actorId, [...versions]));
      for (const options of [{ limit: 2 }, { toVersion: 2 }, { fromVersion: 2, limit: 1 }]) {
        const read = await gather(store.readEvents(actorId, options));
        equal(read.at(-1)?.version, 2, `last version of "${actorId}"`);
      }
    }
  });

  test("readEvents() of missing events is empty", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [3, 4]));
    for (const direction of ["forwards", "backwards"] as const) {
      const parts: [string, ReadOptions][] = [
        ["order-2", {}],
        ["order", { fromVersion: 1 }],
        ["order-1", { limit: 0 }],
        ["order-1", { toVersion: 2 }],
        ["order-1", { toVersion: 0 }],
        ["order-1", { fromVersion: 5 }],
        ["order-1", { fromVersion: 4, toVersion: 3 }],
      ];
      for (const [actorId, part] of parts) {
        const events = await gather(store.readEvents(actorId, { ...part, direction }));
        equal(events, [], `events of ${actorId} ${JSON.stringify(part)} ${direction}`);
      }
    }
  });

  test("readEvents() with impossible options is a RangeError at its first step", async ({ open }) => {
    const store = await open();
    const wrong: [unknown, unknown][] = [
      ...["", "\udc00", "x".repeat(1024), 7, undefined].map((id): [unknown, unknown] => [id, {}]),
      ...["fromVersion", "toVersion", "limit"].flatMap((name) =>
        WRONG_NUMBERS.map((value): [unknown, unknown] => ["order-1", { [name]: value }])
      ),
      ...["up", "", null].map((direction): [unknown, unknown] => ["order-1", { direction }]),
    ];
    for (const [actorId, options] of wrong) {
      const read = store.readEvents(actorId as string, options as ReadOptions);
      await rejects(() => nextOf(read), "RangeError", `a read of ${String(actorId)}`);
    }
  });

  test("a read that the caller leaves does no harm, and a new one starts over", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 900)));
    for (const direction of ["forwards", "backwards"] as const) {
      const wanted = direction === "forwards" ? [1, 2, 3] : [900, 899, 898];
      const seen: number[] = [];
      for await (const { version } of store.readEvents("order-1", { direction })) {
        seen.push(version);
        if (seen.length === 3) break;
      }
      equal(seen, wanted, `first versions ${direction}`);
      const again = store.readEvents("order-1", { direction })[Symbol.asyncIterator]();
      equal((await again.next()).value.version, wanted[0], "the first one of a new read");
      await again.return?.();
      equal((await again.next()).done, true, "whether it has ended");
    }
    for await (const { sequence } of store.readAll()) {
      ok(sequence > 0, "there is a position");
      break;
    }
    await store.saveEvent(sample({ version: 901 }));
  });

  test("a signal ends a read by throwing its reason", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 600)));
    for (const [path, read] of Object.entries(readPaths("order-1"))) {
      const reason = new Error(path);
      const early = read(store, AbortSignal.abort(reason));
      equal(await reasonOf(() => nextOf(early)), reason, `reason of a signal before ${path}`);
      for (const last of [1, 600]) {
        const abort = new AbortController();
        const events = read(store, abort.signal)[Symbol.asyncIterator]();
        for (let at = 1; at <= last; at++) equal((await events.next()).done, false, "end");
        abort.abort(reason);
        const what = `reason of a signal behind event ${last} of ${path}`;
        equal(await reasonOf(() => events.next()), reason, what);
        equal((await events.next()).done, true, "whether it has ended");
      }
    }
    const limited = { limit: 0, signal: AbortSignal.abort("why") };
    equal(await reasonOf(() => nextOf(store.readEvents("order-1", limited))), "why", "reason");
  });

  test("a signal ends a read that waits", async ({ open }) => {
    const codec = new HeldCodec();
    const store = await open({ codec });
    await store.saveEvents(samples("order-1", range(1, 3)));
    for (const [path, read] of Object.entries(readPaths("order-1"))) {
      const abort = new AbortController();
      const held = codec.hold();
      const next = reasonOf(() => nextOf(read(store, abort.signal)));
      await within(held, `a decoding of ${path}`);
      let ended = false;
      const reason = next.finally(() => ended = true);
      reason.catch(() => {}); // Awaited below, if it has ended in time.
      abort.abort(path);
      for (let time = 0; time < 100 && !ended; time++) await turns();
      const inTime = ended;
      codec.release();
      ok(inTime, `${path} ends though what it waits for does not come`);
      equal(await reason, path, "reason");
      equal((await gather(read(store))).length, 3, `number of events of ${path} afterwards`);
    }
  });

  test("events saved during a read do it no harm", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 1000)));
    let latest = 1000;
    for (const direction of ["forwards", "backwards"] as const) {
      const before = latest;
      const seen: number[] = [];
      for await (const { version } of store.readEvents("order-1", { direction })) {
        seen.push(version);
        if (seen.length % 200 !== 0 || latest === before + 5) continue;
        await store.saveEvent(sample({ version: ++latest }));
      }
      if (direction === "backwards") seen.reverse();
      ok(seen.length >= before && seen.length <= latest, `${seen.length} events are enough`);
      equal(seen, range(1, seen.length), `versions ${direction}`);
    }
  });

  test("changes to an event that was read reach no other read", async ({ open }) => {
    const store = await open();
    const event = sample({ data: { items: ["a"] }, metadata: { userId: "u" } });
    await store.saveEvent(event);
    for (const read of Object.values(readPaths("order-1"))) {
      for await (const each of read(store)) {
        // deno-lint-ignore no-explicit-any -- writes where the types forbid it
        const spoilt = each as any;
        spoilt.data.items.push("spoilt");
        spoilt.metadata.userId = "spoilt";
        spoilt.timestamp.setTime(0);
      }
    }
    equal(await store.getEvents("order-1"), [event], "events");
  });

  together("readEvents() sees at once what another store has saved", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    for (const version of range(1, 20)) {
      await first.saveEvent(sample({ version }));
      await seesUpTo(second, version);
    }
    await second.saveEvents(samples("order-1", range(21, 30)));
    await seesUpTo(first, 30);
  });
}

async function seesUpTo(store: EventStore, version: number): Promise<void> {
  await learns(store, "order-1", version);
  const last = { direction: "backwards", limit: 1 } as const;
  equal((await nextOf(store.readEvents("order-1", last))).version, version, "last version");
  const forwards = await gather(store.readEvents("order-1"));
  equal(forwards.map(versionOf), range(1, version), "versions");
}

/** The part of a history that `options` select, as an array would give it. */
function partOf(history: readonly Event[], options: ReadOptions): Event[] {
  const { fromVersion = 0, toVersion = Infinity, limit, direction } = options;
  const part = history.filter(({ version }) => version >= fromVersion && version <= toVersion);
  if (direction === "backwards") part.reverse();
  return part.slice(0, limit);
}

/** Only those options that are not `undefined`. */
function given(
  options: { [Name in keyof ReadOptions]: ReadOptions[Name] | undefined },
): ReadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function versionOf({ version }: Event): number {
  return version;
}

/** The rejection of `action`. */
async function reasonOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (reason) {
    return reason;
  }
  throw new Error("Expected that the read is ended by its signal");
}
