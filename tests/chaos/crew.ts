/**
 * Nodes in processes of their own, which can be killed, stopped and continued.
 *
 * @module
 */

import { Child } from "../support/child.ts";

/** The fields of every line that a process writes. */
export interface CrewNote {
  readonly nodeId: string;
  /** Which process of the node: counted over all. */
  readonly life: number;
  readonly kind: string;
}

interface Member {
  readonly life: number;
  readonly child: Child;
  /** Resolves when all that it wrote is in the notes. */
  readonly reading: Promise<void>;
}

/**
 * Processes of one script, by the ids of their nodes. A script takes its options as JSON, writes
 * lines of JSON, reads lines of orders, and ends by itself when its input does.
 */
export class Crew<Options extends object, Note extends CrewNote> implements AsyncDisposable {
  /** All that they wrote, in the order in which it was read. */
  readonly notes: Note[] = [];
  readonly #script: URL;
  readonly #options: Options;
  readonly #commandOf: (nodeId: string) => readonly string[] | undefined;
  readonly #members = new Map<string, Member>();
  readonly #waiting = new Set<() => void>();
  #lives = 0;
  #failure: Error | undefined;

  /**
   * Runs `script` by `options`; {@linkcode Crew.start} starts each process.
   *
   * @param commandOf What runs a node's process: a program and its first arguments.
   * @default {Deno}
   */
  constructor(
    script: URL,
    options: Options,
    commandOf: (nodeId: string) => readonly string[] | undefined = () => undefined,
  ) {
    this.#script = script;
    this.#options = options;
    this.#commandOf = commandOf;
  }

  /** The nodes whose processes are there. */
  get nodeIds(): string[] {
    return [...this.#members.keys()];
  }

  /** The nodes whose processes run. */
  get running(): string[] {
    return [...this.#members].filter(([, { child }]) => !child.stopped).map(([id]) => id);
  }

  /** Which process of the node there is. */
  lifeOf(nodeId: string): number | undefined {
    return this.#members.get(nodeId)?.life;
  }

  /** Starts the process of `nodeId`, by its own `more` options; gives which one of all it is. */
  start(nodeId: string, more: Partial<Options> = {}): number {
    const life = ++this.#lives;
    const options = JSON.stringify({ ...this.#options, ...more, nodeId, life });
    const child = new Child(this.#script, [options], this.#commandOf(nodeId));
    this.#members.set(nodeId, { life, child, reading: this.#read(child) });
    child.status.then(({ code, signal }) => {
      if (this.#members.get(nodeId)?.child !== child) return;
      this.#failure = new Error(`The process of "${nodeId}" ended: ${signal ?? code}`);
      this.#wake();
    });
    return life;
  }

  /** Kills the process of `nodeId`; resolves when it is gone and all that it wrote was read. */
  async kill(nodeId: string): Promise<void> {
    const member = this.#take(nodeId);
    if (member === undefined) return;
    await member.child.kill();
    await member.reading;
  }

  /**
   * Freezes the process of `nodeId`; resolves when nothing of it runs. False where it is not there,
   * or frozen already.
   */
  async stop(nodeId: string): Promise<boolean> {
    const child = this.#members.get(nodeId)?.child;
    if (child === undefined || child.stopped) return false;
    await child.stop();
    return true;
  }

  /** Lets the process of `nodeId` go on. */
  resume(nodeId: string): void {
    this.#members.get(nodeId)?.child.resume();
  }

  /** Has the process of `nodeId` do something: a line of its input. */
  async order(nodeId: string, line: string): Promise<void> {
    await this.#members.get(nodeId)?.child.tell(line);
  }

  /** Ends the input of `nodeId`, and waits until its process has ended by itself. */
  async end(nodeId: string): Promise<void> {
    const member = this.#take(nodeId);
    if (member === undefined) return;
    member.child.resume();
    const { code } = await member.child.end();
    await member.reading;
    if (code !== 0) throw new Error(`The process of "${nodeId}" ended with ${code}`);
  }

  /** The first note after the first `from` that is as `wanted`, once there is one. */
  async next(wanted: (note: Note) => boolean, from: number = this.notes.length): Promise<Note> {
    for (let at = from;; at++) {
      while (at >= this.notes.length) {
        if (this.#failure !== undefined) throw this.#failure;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#waiting.add(resolve);
        await promise;
        this.#waiting.delete(resolve);
      }
      const note = this.notes[at]!;
      if (wanted(note)) return note;
    }
  }

  /** The note of that kind by the present process of `nodeId`, once there is one. */
  async of(nodeId: string, kind: Note["kind"]): Promise<Note> {
    const life = this.lifeOf(nodeId);
    return await this.next((note) => note.life === life && note.kind === kind, 0);
  }

  /** Kills those that are still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodeIds.map((nodeId) => this.kill(nodeId)));
  }

  #take(nodeId: string): Member | undefined {
    const member = this.#members.get(nodeId);
    this.#members.delete(nodeId);
    return member;
  }

  async #read(child: Child): Promise<void> {
    for (let line; (line = await child.next()) !== undefined;) {
      this.notes.push(JSON.parse(line));
      this.#wake();
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
