/**
 * Values that hardly any code expects, given to the library where it takes data, and as reasons.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  type Event,
  execute,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  LocalEventBus,
} from "../../mod.ts";
import { FencedEventStore } from "../../cluster/mod.ts";
import { natsTest } from "../support/fixture.ts";
import { nastyValues, spoil } from "../support/nasty.ts";
import { assertStored, fact, failureOf } from "./bed.ts";
import { counter } from "./deciders.ts";

Deno.test("What cannot be stored is refused by a typed error, at any place of an event", async () => {
  await using bus = new LocalEventBus();
  for (const [name, make] of nastyValues()) {
    for (const key of ["data", "metadata", "timestamp", "id", "eventType", "actorId", "whole"]) {
      await using store = new InMemoryEventStore();
      const event = key === "whole" ? make() as Event : { ...fact(), [key]: make() };
      for (const save of [() => store.saveEvent(event), () => bus.publish("orders", event)]) {
        const failure = await failureOf(save(), true);
        assert(failure === undefined || isAetherError(failure.error), `${name} as ${key}`);
      }
    }
  }
});

Deno.test("A signal may be aborted for any reason", async () => {
  await using store = new InMemoryEventStore();
  for (const [name, make] of nastyValues()) {
    const abort = new AbortController();
    const reason = make();
    abort.abort(reason);
    const failure = await failureOf(store.saveEvents([fact()], abort));
    assert(isAetherError(failure!.error, "StoreUnavailableError"), name);
    if (reason !== undefined) assert(Object.is(failure!.error.cause, reason), name);
  }
});

natsTest("A signal may be aborted for any reason while a save is under way", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using plain = await JetStreamEventStore.open(connection, { namespace });
  const own = { namespace: `${namespace}-fenced`, nodeId: "one", shards: 1 };
  await using fenced = await FencedEventStore.open(connection, own);
  await fenced.claim(0, 1);
  await scene.server.pause();
  const list = [plain, fenced].flatMap((store) =>
    nastyValues().flatMap(([name, make]) => [0, 20].map((wait) => ({ store, name, make, wait })))
  );
  const saves = list.map(async ({ store, name, make, wait }, at) => {
    const abort = new AbortController();
    const save = store.saveEvents([fact(1, "T", `a-${at}`)], abort);
    if (wait === 0) abort.abort(make());
    else setTimeout(() => abort.abort(make()), wait);
    const { error } = (await failureOf(save))!;
    assert(isAetherError(error), name);
    return await failureOf(execute(store, `b-${at}`, counter, { by: 1, why: [] }, abort));
  });
  await Promise.all(saves);
  await scene.server.resume();
});

// The control: an array of events that is handed out as it is kept does not stand this.
Deno.test("The acts notice a store that shares its events", async () => {
  class Sharing extends InMemoryEventStore {
    readonly #event = fact();
    override getEvents<E extends Event>(): Promise<E[]> {
      return Promise.resolve([this.#event as E]);
    }
  }
  await using store = new Sharing();
  spoil(await store.getEvents());
  let isNoticed = false;
  await assertStored(store, [1]).catch(() => isNoticed = true);
  assert(isNoticed);
});
