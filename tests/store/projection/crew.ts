import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type EventStore, JetStreamEventStore } from "../../../store/mod.ts";
import { Child } from "../../support/child.ts";
import type { Scene } from "../../support/fixture.ts";
import { fact } from "./bed.ts";
import type { ProcessOptions } from "./process.ts";

/** The effect of an event, in the order of effects. */
export interface Effect {
  readonly sequence: number;
  readonly actor: string;
  readonly version: number;
  readonly partition: number;
  readonly worker: string;
}

const SCRIPT = new URL("./process.ts", import.meta.url);

/** A process that runs a projection; see `projection_process.ts`. */
export class Worker extends Child implements AsyncDisposable {
  /** When it has handled its first event. */
  readonly ready: Promise<void>;

  /** Starts it. */
  constructor({ server: { url }, namespace }: Scene, options: ProcessOptions) {
    super(SCRIPT, [url, namespace, JSON.stringify(options)]);
    this.ready = this.line().then(() => {});
    this.ready.catch(() => {});
  }

  /** Names it in its effects. */
  get name(): string {
    return String(this.pid);
  }

  /** Ends it gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    assertEquals((await this.end()).code, 0);
  }
}

/** Saves events of some actors until it is stopped. */
export class Writer implements AsyncDisposable {
  readonly #store: JetStreamEventStore;
  readonly #actors: readonly string[];
  readonly #work: Promise<void>;
  #writing = true;
  /** How many events each actor has. */
  version = 0;
  #grown = Promise.withResolvers<void>();

  private constructor(store: JetStreamEventStore, actors: readonly string[]) {
    this.#store = store;
    this.#actors = actors;
    this.#work = this.#write();
  }

  static async start(scene: Scene, actors: readonly string[]): Promise<Writer> {
    const { namespace } = scene;
    return new Writer(await JetStreamEventStore.open(await scene.connect(), { namespace }), actors);
  }

  /** Whose events it saves. */
  get store(): EventStore {
    return this.#store;
  }

  /** Resolves when each actor has got `count` more events. */
  async further(count: number): Promise<void> {
    const goal = this.version + count;
    while (this.version < goal) await this.#grown.promise;
  }

  /** Saves no more; gives how many events there are of each actor. */
  async stop(): Promise<number> {
    this.#writing = false;
    await this.#work;
    return this.version;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#store[Symbol.asyncDispose]();
  }

  async #write(): Promise<void> {
    while (this.#writing) {
      await this.#store.saveEvents(this.#actors.map((actor) => fact(actor, this.version + 1)));
      this.version++;
      this.#grown.resolve();
      this.#grown = Promise.withResolvers();
    }
  }
}

/** The effects in a database, in the order of their commits. */
export function effectsIn(database: string): Effect[] {
  const db = new DatabaseSync(database);
  try {
    return db.prepare("SELECT * FROM effects ORDER BY at").all() as unknown as Effect[];
  } finally {
    db.close();
  }
}

/** The effects in a file of lines. */
export async function effectsOf(file: string): Promise<Effect[]> {
  const lines = (await Deno.readTextFile(file)).trimEnd().split("\n");
  return lines.map((line) => {
    const [sequence = "", actor = "", version = "", partition = "", worker = ""] = line.split(" ");
    return {
      ...{ actor, worker },
      ...{ sequence: +sequence, version: +version, partition: +partition },
    };
  });
}

/** Passes if each actor's events had their first effects in order, none missing; gives the repeated. */
export function assertComplete(
  effects: readonly Effect[],
  actors: readonly string[],
  count: number,
): Effect[] {
  const repeated: Effect[] = [];
  const latest = new Map(actors.map((actor) => [actor, 0]));
  for (const effect of effects) {
    const before = latest.get(effect.actor);
    assert(before !== undefined, `Nobody saved events of ${effect.actor}`);
    if (effect.version <= before) repeated.push(effect);
    else {
      assertEquals(effect.version, before + 1, `Event of ${effect.actor} after ${before}`);
      latest.set(effect.actor, effect.version);
    }
  }
  for (const [actor, version] of latest) assertEquals(version, count, `Last event of ${actor}`);
  return repeated;
}

/** A folder for the length of a test. */
export async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
