/**
 * What a process of a storm does with its store: a seeded mix of saves, commands and reads, each
 * with its begin and its end in the history.
 *
 * @module
 */

import {
  createEvent,
  type Event,
  type EventStore,
  execute,
  executeAll,
  type ExecuteResult,
  rehydrate,
  type SnapshotStore,
} from "../../../store/mod.ts";
import { type Count, type Counted, counter } from "./alarm.ts";
import { endOf } from "./ends.ts";
import type { EventName, Input, Output, Recorder } from "./history.ts";

/** Actors of a kind. */
const ACTORS = 6;
/** How long two processes that share commands take the same one, in ms. */
const SLOT = 400;

/** What an actor client works with. */
export interface ClientParts {
  readonly store: EventStore;
  readonly snapshots: SnapshotStore;
  readonly recorder: Recorder;
  readonly random: () => number;
  /** Names the processes that share commands, and this one. */
  readonly pair: string;
  readonly name: string;
  /** When the storm began, in ms since 1970. */
  readonly begin: number;
}

/** Calls a store, one call after the other. */
export class Client {
  readonly #parts: ClientParts;
  /** Versions that were heard of. */
  readonly #known = new Map<string, number>();
  #position = 0;
  #asked = 0;

  /** Knows nothing yet. */
  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Does something. */
  async act(): Promise<void> {
    const share = this.#parts.random();
    if (share < 0.2) return await this.#save();
    if (share < 0.3) return await this.#commit();
    if (share < 0.38) return await this.#guarded();
    if (share < 0.44) return await this.#twin();
    if (share < 0.58) return await this.#command();
    if (share < 0.64) return await this.#transfer();
    if (share < 0.67) return await this.#ask();
    if (share < 0.77) return await this.#version(this.#actor(), true);
    if (share < 0.82) return await this.#version(this.#actor(), false);
    if (share < 0.91) return await this.#read(this.#actor());
    if (share < 0.96) return await this.#state();
    return await this.#readAll();
  }

  /** Runs one operation, and notes it. */
  async run(kind: string, input: (op: string) => Input, work: (op: string) => Promise<Output>) {
    const { recorder, random } = this.#parts;
    let asked: Input;
    const op = recorder.invoke(kind, (op) => asked = input(op));
    try {
      const output = await work(op);
      recorder.end(kind, op, "ok", output);
      if (output.sequence !== undefined) {
        this.#position = Math.max(this.#position, output.sequence);
      }
      if (asked!.type === "save") {
        for (const { actorId, version } of asked!.events) this.#hear(actorId, version);
      }
    } catch (error) {
      const isCommand = asked!.type === "command";
      const { outcome, output } = await endOf(error, random() < 0.5);
      // Nobody can tell what a command led to whose save was settled.
      recorder.end(kind, op, isCommand && outcome === "ok" ? "unknown" : outcome, output);
      if (output.actorId !== undefined) this.#hear(output.actorId, output.version!);
    }
  }

  #hear(actorId: string, version: number): void {
    this.#known.set(actorId, Math.max(this.#known.get(actorId) ?? 0, version));
  }

  #below(count: number): number {
    return Math.floor(this.#parts.random() * count);
  }

  #actor(): string {
    return `${["note", "count", "note", "fence"][this.#below(4)]}-${this.#below(ACTORS)}`;
  }

  #names(op: string, actorId: string, count: number, more = 1): EventName[] {
    const after = this.#known.get(actorId) ?? 0;
    return Array.from({ length: count }, (_, at) => ({
      ...{ actorId, version: after + more + at, id: `${op}-${actorId}-${at}` },
    }));
  }

  async #save(): Promise<void> {
    const actorId = `note-${this.#below(ACTORS)}`;
    if (this.#below(2) === 0) await this.#version(actorId, true);
    const more = this.#below(20) === 0 ? 2 : 1; // Gaps are allowed.
    await this.#saveAll("save", (op) => this.#names(op, actorId, 1, more));
  }

  async #commit(): Promise<void> {
    const actorId = `note-${this.#below(ACTORS)}`;
    const count = 2 + this.#below(4);
    await this.#version(actorId, true);
    await this.#saveAll("commit", (op) => this.#names(op, actorId, count));
  }

  async #guarded(): Promise<void> {
    const first = this.#below(ACTORS);
    const actors = [0, 1, 2].map((at) => `note-${(first + at) % ACTORS}`);
    for (const actorId of actors) await this.#version(actorId, true);
    const expect = actors.map((actorId) => ({ actorId, version: this.#known.get(actorId) ?? 0 }));
    await this.#saveAll(
      "guarded batch",
      (op) => actors.slice(1).flatMap((actorId) => this.#names(op, actorId, 1 + this.#below(2))),
      expect,
    );
  }

  async #saveAll(
    kind: string,
    namesOf: (op: string) => EventName[],
    expect?: readonly { readonly actorId: string; readonly version: number }[],
  ): Promise<void> {
    let events: readonly EventName[] = [];
    await this.run(
      kind,
      (op) => ({ type: "save", events: events = namesOf(op), ...expect && { expect } }),
      (op) => save(this.#parts.store, op, events, expect),
    );
  }

  /** Two processes save the same event, at about the same time. */
  async #twin(): Promise<void> {
    const { store, pair } = this.#parts;
    const slot = this.#slot();
    const actorId = `twin-${pair}x${Math.floor(slot / 16)}`;
    const name = { actorId, version: slot % 16 + 1, id: `twin-${pair}-${slot}` };
    await this.run("twin save", () => ({ type: "save", events: [name] }), async () => {
      const event = createEvent({ ...name, eventType: "Happened", data: { pair } });
      const { sequence, duplicate } = await store.saveEvent({ ...event, id: name.id });
      return { sequence, duplicate };
    });
  }

  #slot(): number {
    return Math.floor((Date.now() - this.#parts.begin) / SLOT);
  }

  /** A command, most of them with an id that another process uses too. */
  async #command(): Promise<void> {
    const { store, pair, snapshots } = this.#parts;
    const slot = this.#slot();
    const isShared = this.#below(4) > 0;
    const number = isShared ? slot : this.#below(1_000);
    const actorId = `count-${number % ACTORS}`;
    const by = number * 7 % 9 - 2;
    const record = number % 2 === 0;
    const given = isShared ? { commandId: `one-${pair}-${slot}`, record } : {};
    await this.run(
      isShared ? "command with an id" : "command",
      () => ({ type: "command", actorIds: [actorId], ...given }),
      async (op) => {
        const options = { ...given, timeout: 3_000, snapshots: policy(snapshots) };
        const result = await execute(store, actorId, counter, { by, op }, options);
        return { results: [resultOf(result)] };
      },
    );
  }

  async #transfer(): Promise<void> {
    const { store, pair } = this.#parts;
    const slot = this.#slot();
    const actorIds = [slot, slot + 1 + slot % 3].map((number) => `count-${number % ACTORS}`);
    const commandId = `all-${pair}-${slot}`;
    await this.run(
      "executeAll",
      () => ({ type: "command", actorIds, commandId }),
      async (op) => {
        const by = 1 + slot % 3;
        const results = await executeAll(store, [
          { actorId: actorIds[0]!, decider: counter, command: { by, op } },
          { actorId: actorIds[1]!, decider: counter, command: { by: -by, op } },
        ], { commandId, timeout: 3_000 });
        return { results: results.map((result) => resultOf(result)) };
      },
    );
  }

  async #ask(): Promise<void> {
    const actorId = `ask-${this.#parts.name}-${++this.#asked}`;
    const within = 200 + this.#below(3_000);
    let id = "";
    await this.run(
      "ask a process",
      (op) => ({ type: "save", events: [{ actorId, version: 1, id: id = `${op}-0` }] }),
      async (op) => {
        const data = { within, op };
        const event = createEvent({ eventType: "Asked", actorId, version: 1, data });
        const { sequence, duplicate } = await this.#parts.store.saveEvent({ ...event, id });
        return { sequence, duplicate };
      },
    );
  }

  async #version(actorId: string, fresh: boolean): Promise<void> {
    await this.run(
      fresh ? "latest version" : "latest version, cached",
      () => ({ type: "version", actorId, fresh }),
      async () => {
        const version = await this.#parts.store.getLatestVersion(actorId, { fresh });
        this.#hear(actorId, version);
        return { version };
      },
    );
  }

  async #read(actorId: string): Promise<void> {
    const from = Math.max(0, (this.#known.get(actorId) ?? 0) - this.#below(30));
    await this.run("read", () => ({ type: "read", actorId, from }), async () => {
      const events = await this.#parts.store.getEvents(actorId, from);
      return { events: events.map(({ version, id }) => [version, id] as const) };
    });
  }

  async #state(): Promise<void> {
    const { store, snapshots } = this.#parts;
    const actorId = `count-${this.#below(ACTORS)}`;
    await this.run("state with snapshots", () => ({ type: "state", actorId }), async () => {
      const options = { snapshots: policy(snapshots) };
      const { state, version } = await rehydrate(store, actorId, counter, options);
      return { state, version };
    });
  }

  async #readAll(): Promise<void> {
    const from = Math.max(0, this.#position - 256 * this.#below(60));
    await this.run("read of all", () => ({ type: "readAll", from }), async () => {
      const events: (readonly [number, string])[] = [];
      for await (const { sequence, id } of this.#parts.store.readAll({ from })) {
        events.push([sequence, id]);
        if (events.length === 100) return { events, isWhole: false };
      }
      return { events, isWhole: true };
    });
  }
}

/** Saves events by their names. */
export async function save(
  store: EventStore,
  op: string,
  events: readonly EventName[],
  expect: readonly { readonly actorId: string; readonly version: number }[] = [],
): Promise<Output> {
  const facts = events.map(({ actorId, version, id }): Event => ({
    ...createEvent({ actorId, version, eventType: "Happened", data: { op } }),
    id,
  }));
  const { sequence, duplicate } = await store.saveEvents(facts, { expect });
  return { sequence, duplicate };
}

function policy(store: SnapshotStore) {
  return { store, name: "counter", schemaVersion: 1, every: 10, onError() {} };
}

function resultOf(
  { version, events, sequence, duplicate }: ExecuteResult<Counted, Event<"Counted", Count>>,
): NonNullable<Output["results"]>[number] {
  return { version, ids: events.map(({ id }) => id), sequence, duplicate };
}
