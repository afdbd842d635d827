import { FORGOTTEN } from "../../store/codec.ts";
import type { CorruptEventError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { equal, ok, rejects } from "../assert.ts";
import {
  gather,
  holds,
  JsonCodec,
  nextOf,
  range,
  readEveryWay,
  readPaths,
  Recorder,
  sample,
  samples,
  type StoreTest,
  turns,
  versionsOf,
} from "./kit.ts";

/** Codecs: the store keeps events in the form that they encode. */
export function codecs(test: StoreTest): void {
  test("a codec carries data that JSON cannot", async ({ open }) => {
    const store = await open({ codec: new MapCodec() });
    const data = new Map([["a", 1n], ["b", 2n ** 70n]]);
    await store.saveEvent(sample({ data }));
    await store.saveEvents([sample({ version: 2, data }), sample({ version: 5, data: new Map() })]);
    data.set("c", 3n);
    for (const [path, events] of await readEveryWay(store, "order-1")) {
      const entries = events.map((event) => [...event.data as Map<string, bigint>]);
      const wanted = [["a", 1n], ["b", 2n ** 70n]];
      equal(entries, [wanted, wanted, []], `entries by ${path}`);
    }
  });

  test("with a codec a repeated save is known by id and type", async ({ open }) => {
    // Each encoding has other bytes, as with a cipher's nonce.
    const store = await open({ codec: new NonceCodec() });
    const event = sample({ data: "first" });
    const { sequence } = await store.saveEvent(event);
    equal(await store.saveEvent(event), { sequence, duplicate: true }, "receipt");
    const other = { ...event, eventType: "Other" };
    await rejects(() => store.saveEvent(other), "VersionConflictError");
    await holds(store, [event]);
  });

  test("a codec does not make up for data that is missing", async ({ open }) => {
    const store = await open({ codec: new JsonCodec() });
    const save = () => store.saveEvent(sample({ data: undefined }));
    const error = await rejects(save, "InvalidEventError");
    ok(error.message.includes("data is undefined"), error.message);
    equal(await store.getEvents("order-1"), [], "events");
  });

  test("a codec that takes its time keeps the order of saves", async ({ open }) => {
    const store = await open({ codec: new SlowCodec() });
    const events = range(1, 12).flatMap((version) =>
      ["order-1", "order-2"].map((actorId) => sample({ actorId, version, data: { version } }))
    );
    await Promise.all(events.map((event) => store.saveEvent(event)));
    await holds(store, events);
    for (const [path, seen] of await readEveryWay(store, "order-1")) {
      equal(seen.map(({ version }) => version), range(1, 12), `versions by ${path}`);
    }
  });

  test("a save that is aborted while a codec works stores nothing", async ({ open }) => {
    const store = await open({ codec: new SlowCodec() });
    const controller = new AbortController();
    const { signal } = controller;
    const save = () => {
      const saved = store.saveEvents([sample(), sample({ actorId: "order-2" })], { signal });
      controller.abort(new Error("no patience"));
      return saved;
    };
    const error = await rejects(save, "StoreUnavailableError");
    equal(error.cause, signal.reason, "cause");
    for (const actorId of ["order-1", "order-2"]) {
      await store.saveEvent(sample({ actorId, id: "later" }));
      equal((await store.getEvents(actorId)).map(({ id }) => id), ["later"], "ids");
    }
  });

  test("changes to an event while a codec works do not reach the store", async ({ open }) => {
    const store = await open({ codec: new SlowCodec() });
    const event = sample({ data: { total: 1 }, metadata: { userId: "u" } });
    const expected = structuredClone(event);
    const saved = store.saveEvent(event);
    // deno-lint-ignore no-explicit-any -- writes where the types forbid it
    const spoilt = event as any;
    spoilt.data.total = 2;
    spoilt.version = 9;
    spoilt.metadata.userId = "spoilt";
    spoilt.timestamp.setTime(0);
    await saved;
    await holds(store, [expected]);
  });

  test("a codec may reuse its bytes", async ({ open }) => {
    const store = await open({ codec: new ScratchCodec() });
    const events = samples("order-1", range(1, 5));
    await Promise.all(events.slice(0, 3).map((event) => store.saveEvent(event)));
    await store.saveEvents(events.slice(3));
    for (const _ of range(1, 2)) await holds(store, events);
  });

  test("an object that a codec returns may be frozen", async ({ open }) => {
    class Freezing extends JsonCodec {
      override decode(bytes: Uint8Array): Event {
        return Object.freeze(super.decode(bytes) as Event);
      }
    }
    const store = await open({ codec: new Freezing() });
    const events = samples("order-1", range(1, 2));
    await store.saveEvents(events);
    await holds(store, events);
  });

  test("an event that a codec cannot encode is InvalidEventError, nothing is stored", async ({ open }) => {
    const reason = new Error("no key");
    const failures: (() => Uint8Array | Promise<Uint8Array>)[] = [
      () => {
        throw reason;
      },
      () => Promise.reject(reason),
      () => turns().then(() => Promise.reject(reason)),
      () => "text" as never,
      () => Promise.resolve(undefined as never),
    ];
    for (const [at, fail] of failures.entries()) {
      class Failing extends JsonCodec {
        override encode(event: Event): Uint8Array | Promise<Uint8Array> {
          return event.data === "bad" ? fail() : super.encode(event);
        }
      }
      const broadcaster = new Recorder();
      const store = await open({ codec: new Failing(), broadcaster });
      const actorId = `order-${at}`;
      const bad = sample({ actorId, data: "bad" });
      const batch = [sample({ actorId }), { ...bad, version: 2 }, sample({ actorId: `b-${at}` })];
      for (const save of [() => store.saveEvent(bad), () => store.saveEvents(batch)]) {
        const error = await rejects(save, "InvalidEventError", `encoding ${at}`);
        if (at < 3) equal(error.cause, reason, "cause");
      }
      equal(broadcaster.places, [], "notifications");
      for (const actor of [actorId, `b-${at}`]) equal(await versionsOf(store, actor), [], actor);
      await store.saveEvent(sample({ actorId }));
      equal(await versionsOf(store, actorId), [1], "versions");
    }
  });

  test("data that a codec cannot decode is CorruptEventError, with its place", async ({ open }) => {
    const reason = new Error("cannot read");
    const failures: ((actorId: string) => Event | Promise<Event>)[] = [
      () => {
        throw reason;
      },
      () => Promise.reject(reason),
      () => null as never,
      () => ({ ...sample({ actorId: "another-1", version: 2 }) }),
      () => ({ ...sample({ version: 7 }) }),
      ...[null, 5, {}].map((timestamp) => (actorId: string): Event => ({
        ...sample({ actorId, version: 2 }),
        timestamp: timestamp as never,
      })),
    ];
    for (const [at, fail] of failures.entries()) {
      const actorId = `order-${at}`;
      class Failing extends SlowCodec {
        override decode(bytes: Uint8Array): Promise<Event> {
          const text = new TextDecoder().decode(bytes);
          return text.includes('"data":"bad"')
            ? fail(actorId) as Promise<Event>
            : super.decode(bytes);
        }
      }
      const store = await open({ codec: new Failing() });
      await store.saveEvent(sample({ actorId, data: "good" }));
      const { sequence } = await store.saveEvent(sample({ actorId, version: 2, data: "bad" }));
      await store.saveEvent(sample({ actorId, version: 3, data: "good" }));
      const reads = Object.entries(readPaths(actorId)).filter(([path]) => path !== "readAll()");
      const calls = reads.map(([path, read]) =>
        [path, () => gather(read(store))] as [string, () => Promise<unknown>]
      );
      for (
        const [path, call] of [
          ...calls,
          ["getEvents()", () => store.getEvents(actorId)] as const,
        ]
      ) {
        const error = await rejects<CorruptEventError>(call, "CorruptEventError", path);
        equal(error.sequence, sequence, `place by ${path}`);
        if (at < 2) equal(error.cause, reason, `cause by ${path}`);
      }
      const { events, errors } = await store.getEventsWithErrors(actorId);
      equal(events.map(({ version }) => version), [1, 3], "versions of what can be read");
      equal(errors.map((each) => each.sequence), [sequence], "places of what cannot");
      equal(errors[0]!.error.name, "CorruptEventError", "name of the error");
      const last = store.readEvents(actorId, { direction: "backwards", limit: 1 });
      if (at < 2) equal((await nextOf(last)).version, 3, "the last event, which is sound");
    }
  });

  test("data that a codec reports as forgotten replays as its replacement", async ({ open }) => {
    for (const wholly of [true, false]) {
      let forgotten = false;
      class Forgetful extends SlowCodec {
        override async decode(bytes: Uint8Array): Promise<Event> {
          const event = await super.decode(bytes);
          if (!forgotten || event.version === 2) return event;
          return wholly ? FORGOTTEN as never : { ...event, data: FORGOTTEN };
        }
      }
      const actorId = `order-${wholly}`;
      const old = new Date(1);
      const store = await open({ codec: new Forgetful() });
      const events = ["a/1", "b", "=2A ü"].map((eventType, at) =>
        sample({
          actorId,
          version: at + 1,
          eventType,
          timestamp: old,
          metadata: { userId: "u" },
        })
      );
      await store.saveEvents(events);
      await holds(store, events);
      forgotten = true;
      for (const [path, seen] of await readEveryWay(store, actorId)) {
        equal(seen.length, 3, `number of events by ${path}`);
        for (const [at, event] of seen.entries()) {
          const { id, eventType, version } = events[at]!;
          equal([event.id, event.eventType, event.actorId], [id, eventType, actorId], path);
          equal(event.version, version, `version by ${path}`);
          ok(event.timestamp.getTime() > 0, "there is a time");
          if (wholly && version !== 2) {
            ok(event.timestamp.getTime() > old.getTime(), "when it was stored");
          }
          equal(event.data, version === 2 ? null : FORGOTTEN, `data by ${path}`);
          if (!wholly) equal(event.metadata, { userId: "u" }, `metadata by ${path}`);
        }
      }
      equal((await store.getEventsWithErrors(actorId)).errors, [], "errors");
      await store.saveEvent(sample({ actorId, version: 4 }));
      equal(await store.getLatestVersion(actorId), 4, "latest version");
    }
  });
}

/** Carries `data` that is a map of bigints. */
class MapCodec extends JsonCodec {
  readonly lenient = true;

  override encode(event: Event): Uint8Array | Promise<Uint8Array> {
    const data = [...event.data as Map<string, bigint>].map(([key, value]) => [key, String(value)]);
    return super.encode({ ...event, data });
  }

  override decode(bytes: Uint8Array): Event {
    const event = super.decode(bytes) as Event<string, [string, string][]>;
    return { ...event, data: new Map(event.data.map(([key, value]) => [key, BigInt(value)])) };
  }
}

/** Takes the longer the older an event is. */
class SlowCodec extends JsonCodec {
  override async encode(event: Event): Promise<Uint8Array> {
    const bytes = super.encode(event);
    for (let turn = event.version; turn < 5; turn++) await turns();
    return bytes;
  }

  override async decode(bytes: Uint8Array): Promise<Event> {
    const event = await super.decode(bytes);
    for (let turn = event.version % 3; turn < 2; turn++) await turns();
    return event;
  }
}

/** Encodes into bytes that it reuses, and decodes in place. */
class ScratchCodec extends JsonCodec {
  readonly #scratch = new Uint8Array(4096);

  override encode(event: Event): Uint8Array {
    const bytes = super.encode(event) as Uint8Array;
    this.#scratch.set(bytes.map((byte) => byte ^ 0xff));
    return this.#scratch.subarray(0, bytes.length);
  }

  override decode(bytes: Uint8Array): Event | Promise<Event> {
    for (const [at, byte] of bytes.entries()) bytes[at] = byte ^ 0xff;
    return super.decode(bytes);
  }
}

/** JSON that differs with each call. */
class NonceCodec extends JsonCodec {
  override encode(event: Event): Uint8Array {
    const json = JSON.stringify({ ...event, data: { value: event.data, nonce: Math.random() } });
    return new TextEncoder().encode(json);
  }

  override decode(bytes: Uint8Array): Event {
    const event = JSON.parse(new TextDecoder().decode(bytes));
    return { ...event, data: event.data.value };
  }
}
