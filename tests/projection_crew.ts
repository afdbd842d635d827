import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type EventStore, JetStreamEventStore } from "../store/mod.ts";
import type { Scene } from "./fixture.ts";
import { fact } from "./projection_bed.ts";
import type { ProcessOptions } from "./projection_process.ts";

/** What an event did, in the order in which it was done. */
export interface Effect {
  readonly sequence: number;
  readonly actor: string;
  readonly version: number;
  readonly partition: number;
  readonly worker: string;
}

/** A process that runs a projection; see `projection_process.ts`. */
export class Worker implements AsyncDisposable {
  /** When it has handled its first event. */
  readonly ready: Promise<void>;
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;

  /** Starts it. */
  constructor(scene: Scene, options: ProcessOptions) {
    const script = new URL("projection_process.ts", import.meta.url).pathname;
    const config = new URL("../deno.json", import.meta.url).pathname;
    const { server: { url }, namespace } = scene;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", config, script, url, namespace, JSON.stringify(options)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.ready = this.#output.read().then(({ done }) => {
      if (done) throw new Error("The process has ended before it handled anything");
    });
    this.ready.catch(() => {});
  }

  /** Names it in its effects. */
  get name(): string {
    return String(this.#process.pid);
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#end();
  }

  /** Ends it gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close().catch(() => {});
    const { code } = await this.#end();
    assertEquals(code, 0);
  }

  async #end(): Promise<Deno.CommandStatus> {
    const status = await this.#process.status;
    await this.ready.catch(() => {});
    while (!(await this.#output.read()).done);
    await this.#process.stdin.close().catch(() => {});
    return status;
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
