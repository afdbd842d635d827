import { assertEquals } from "@std/assert";
import type { Event } from "../../store/event.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import type { EventStore } from "../../store/store.ts";
import {
  faithfulValues,
  unfaithfulValues,
  WRONG_IDS,
  WRONG_NUMBERS,
  WRONG_TIMESTAMPS,
} from "../../testing/values.ts";
import { SEED } from "../fuzz/hostile.ts";
import { natsTest, uniqueNamespace } from "../support/fixture.ts";
import { seededRandom } from "../support/proxy.ts";

const ACTORS = ["a-1", "a-2", "b.*", "é"];
const ROUNDS = 6;
const CALLS = 60;

/** One call of a store, and what to print of it. */
interface Call {
  readonly what: unknown;
  readonly run: (store: EventStore) => Promise<unknown>;
}

/** Calls by a seed: most could be a program's, and some are slips. */
class Calls {
  readonly #random: () => number;
  readonly #saved: Event[] = [];
  #version = 1;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  next(): Call {
    const id = this.#mostly(this.#pick(ACTORS), WRONG_IDS) as string;
    const lookUps: readonly (() => Call)[] = [
      () => this.#readEvents(id),
      () => this.#readAll(),
      () => call({ getEvents: id }, (store) => store.getEvents(id)),
      () => call({ getEventsOf: [id] }, (store) => store.getEventsOf(["a-1", id])),
      () => call({ withErrors: id }, (store) => store.getEventsWithErrors(id)),
      () => call({ latest: id }, (store) => store.getLatestVersion(id, { fresh: true })),
      () => call({ latests: id }, (store) => store.getLatestVersions([id, "é"], { fresh: true })),
      () =>
        call(
          { listActors: id },
          async (store) => (await Array.fromAsync(store.listActors({ category: id }))).sort(),
        ),
    ];
    return this.#chance(0.5) ? this.#save() : this.#pick(lookUps)();
  }

  #save(): Call {
    const events = Array.from({ length: 1 + Math.floor(this.#random() * 3) }, () => this.#event());
    const expect = this.#chance(0.2)
      ? [{ actorId: this.#pick(ACTORS), version: this.#number() as number }]
      : [];
    return call({ events, expect }, (store) => store.saveEvents(events, { expect }));
  }

  #event(): Event {
    if (this.#saved.length > 0 && this.#chance(0.2)) {
      const again = this.#pick(this.#saved);
      return this.#chance(0.5) ? again : { ...again, data: "other", version: this.#version };
    }
    if (this.#chance(0.6)) this.#version++;
    const data = this.#pick(faithfulValues());
    const wrong = unfaithfulValues().map(([, value]) => value);
    const event = {
      id: this.#mostly(`event-${Math.floor(this.#random() * 1e6)}`, WRONG_IDS) as string,
      eventType: this.#mostly(this.#pick(["Done", "Undone"]), WRONG_IDS) as string,
      actorId: this.#mostly(this.#pick(ACTORS), WRONG_IDS) as string,
      version: this.#mostly(this.#version, WRONG_NUMBERS) as number,
      data: this.#mostly(data, wrong),
      timestamp: this.#mostly(new Date(this.#version), WRONG_TIMESTAMPS) as Date,
      metadata: this.#mostly({ by: "a test" }, [null, [], { by: 1 }, "by"]) as { by: string },
    };
    this.#saved.push(event);
    return event;
  }

  #readEvents(id: string): Call {
    const options = {
      ...this.#chance(0.5) && { fromVersion: this.#number() as number },
      ...this.#chance(0.5) && { toVersion: this.#number() as number },
      ...this.#chance(0.5) && { limit: this.#number() as number },
      ...this.#chance(0.5) && { direction: "backwards" as const },
    };
    return call({ id, options }, (store) => Array.fromAsync(store.readEvents(id, options)));
  }

  #readAll(): Call {
    const filter = {
      ...this.#chance(0.4) && { category: this.#mostly("a", WRONG_IDS) as string },
      ...this.#chance(0.4) && { actorId: this.#mostly("a-1", WRONG_IDS) as string },
      ...this.#chance(0.4) && { eventTypes: [this.#mostly("Done", WRONG_IDS) as string] },
    };
    return call({ filter }, (store) => Array.fromAsync(store.readAll({ filter })));
  }

  #number(): unknown {
    return this.#mostly(Math.floor(this.#random() * (this.#version + 2)), WRONG_NUMBERS);
  }

  #mostly<T>(right: T, wrong: readonly unknown[]): unknown {
    return this.#chance(0.02) ? this.#pick(wrong) : right;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)]!;
  }
}

function call(what: unknown, run: Call["run"]): Call {
  return { what, run };
}

/** How a call ends, without what is a store's own: positions, and names of commits. */
async function endOf({ run }: Call, store: EventStore): Promise<unknown> {
  try {
    return own(await run(store));
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
}

function own(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(own);
  if (value instanceof Map) return [...value].map(own);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  const { sequence: _, op: __, ...rest } = value as Record<string, unknown>;
  return Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, own(item)]));
}

natsTest("any calls, slips too, end alike in memory and on JetStream", async (scene) => {
  const connection = await scene.connect();
  for (let round = 0; round < ROUNDS; round++) {
    const calls = new Calls(SEED + round);
    await using memory = new InMemoryEventStore();
    const namespace = uniqueNamespace();
    await using stream = await JetStreamEventStore.open(connection, { namespace });
    for (let at = 0; at < CALLS; at++) {
      const next = calls.next();
      const [inMemory, onStream] = [await endOf(next, memory), await endOf(next, stream)];
      const place = `call ${at} of seed ${SEED + round}: ${Deno.inspect(next.what)}`;
      assertEquals(onStream, inMemory, place.slice(0, 2_000));
    }
  }
});
