import { assert, assertEquals } from "@std/assert";
import { type Codec, type Event, isAetherError } from "../../mod.ts";
import { once } from "../support/acts.ts";
import { spoil } from "../support/nasty.ts";
import { assertStored, DATA, fact, failing, failureOf, type Hooks } from "./bed.ts";

const json: Codec<Event> = {
  encode: (event) => new TextEncoder().encode(JSON.stringify(event)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
};

/** What a store takes from its user. */
export const STORE: Hooks = {
  "Codec.encode()": async (bed, act) => {
    const store = await bed.open({ codec: { ...json, encode: once(act, json.encode) } });
    const event = fact();
    const failure = await failureOf(store.saveEvent(event));
    assert(isAetherError(failure!.error), "A typed error");
    assertEquals(event.data, DATA, "The caller's event");
    await store.saveEvent(event);
    await assertStored(store, [1]);
  },
  "Codec.decode()": async (bed, act) => {
    const abort = new AbortController();
    const { signal } = abort;
    const decode = once(act, json.decode);
    const store = await bed.open({
      codec: {
        ...json,
        decode: (bytes) => {
          if (act.kind === "hangs" && !signal.aborted) setTimeout(() => abort.abort(), 20);
          return decode(bytes);
        },
      },
    });
    await store.saveEvent(fact());
    const read = async () => {
      for await (const _event of store.readEvents("a-1", { signal }));
    };
    const failure = await failureOf(read());
    if (act.kind !== "hangs") assert(isAetherError(failure!.error, "CorruptEventError"));
    await assertStored(store, [1]);
  },
  "Upcaster": async (bed, act) => {
    const upcasters: Record<string, ((data: unknown, event: Event) => unknown)[]> = {};
    const store = await bed.open({ upcasters });
    const event = fact();
    await store.saveEvent(event);
    upcasters.T = [once(act, (data) => data)];
    const failure = await failureOf(store.getEvents("a-1"), act.kind === "gives");
    if (failure !== undefined) assert(isAetherError(failure.error, "CorruptEventError"));
    await assertStored(store, [1]);
    upcasters.T = [(data, given) => (spoil(given), data)];
    const [{ data: _data, ...rest } = fact()] = await store.getEvents("a-1");
    const { data: _own, ...saved } = event;
    assertEquals(rest, saved);
  },
  "Broadcaster.publish()": async (bed, act) => {
    const publish = once(act, () => {});
    const store = await bed.open({ broadcaster: { publish }, onBroadcastError: () => {} });
    for (const version of [1, 2]) {
      assertEquals((await store.saveEvent(fact(version))).duplicate, false);
    }
    await assertStored(store, [1, 2]);
    await store[Symbol.asyncDispose]();
  },
  "EventStoreOptions.onBroadcastError": async (bed, act) => {
    const onBroadcastError = once(act, () => {});
    const store = await bed.open({ broadcaster: { publish: failing }, onBroadcastError });
    for (const version of [1, 2]) await store.saveEvent(fact(version));
    await assertStored(store, [1, 2]);
    await store[Symbol.asyncDispose]();
  },
};
