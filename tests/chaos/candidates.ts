/**
 * Candidates in processes of their own, which can be killed, stopped and continued.
 *
 * @module
 */

import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { LeaseTimings } from "../../cluster/timings.ts";
import type { Note } from "./reigns.ts";

/** How candidates stand for election. */
export interface CandidateOptions {
  readonly servers: string[];
  readonly namespace: string;
  readonly replicas: number;
  readonly timings: Partial<LeaseTimings>;
  /** Their connections, beside never giving up. */
  readonly connection: NodeConnectionOptions;
  /** About how long a leader leads before it resigns, in ms; for ever if absent. */
  readonly reign?: number;
  /** How many times slower their clocks go than the server's: above 1 for the control. */
  readonly slow: number;
}

interface Member {
  readonly process: Deno.ChildProcess;
  readonly reading: Promise<void>;
  stopped: boolean;
}

/** Processes of `candidate.ts`, by the ids of their nodes. */
export class Candidates implements AsyncDisposable {
  /** All that they wrote, in the order in which it was read. */
  readonly notes: Note[] = [];
  readonly #options: CandidateOptions;
  readonly #members = new Map<string, Member>();
  readonly #waiting = new Set<() => void>();
  #lives = 0;
  #failure: Error | undefined;

  /** Candidates that stand by `options`; {@linkcode Candidates.start} starts each. */
  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** The nodes whose processes are there. */
  get nodeIds(): string[] {
    return [...this.#members.keys()];
  }

  /** The node that took the lease last, if its process is still there. */
  get leader(): string | undefined {
    const last = this.notes.findLast(({ kind }) => kind === "taken" || kind === "over");
    return last?.kind === "taken" && this.#members.has(last.nodeId) ? last.nodeId : undefined;
  }

  /** Starts the process of `nodeId`. */
  start(nodeId: string): void {
    const options = JSON.stringify({ ...this.#options, nodeId, life: ++this.#lives });
    const script = new URL("candidate.ts", import.meta.url).pathname;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, script, options],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reading = this.#read(process.stdout);
    this.#members.set(nodeId, { process, reading, stopped: false });
    process.status.then(({ code, signal }) => {
      if (this.#members.get(nodeId)?.process !== process) return;
      this.#failure = new Error(`The process of "${nodeId}" ended: ${signal ?? code}`);
      this.#wake();
    });
  }

  /** Kills the process of `nodeId`; resolves when it is gone and all that it wrote was read. */
  async kill(nodeId: string): Promise<void> {
    const member = this.#members.get(nodeId);
    if (member === undefined) return;
    this.#members.delete(nodeId);
    member.process.kill("SIGKILL");
    await Promise.all([member.process.status, member.reading, member.process.stdin.close()]);
  }

  /** Freezes the process of `nodeId`; false where it is not there, or frozen already. */
  stop(nodeId: string): boolean {
    const member = this.#members.get(nodeId);
    if (member === undefined || member.stopped) return false;
    member.stopped = true;
    member.process.kill("SIGSTOP");
    return true;
  }

  /** Lets the process of `nodeId` go on. */
  resume(nodeId: string): void {
    const member = this.#members.get(nodeId);
    if (member === undefined || !member.stopped) return;
    member.stopped = false;
    member.process.kill("SIGCONT");
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

  /** Has all of them resign and end by themselves. */
  async end(): Promise<void> {
    const members = [...this.#members];
    this.#members.clear();
    await Promise.all(members.map(async ([nodeId, { process, reading, stopped }]) => {
      if (stopped) process.kill("SIGCONT");
      await process.stdin.close();
      const [{ code }] = await Promise.all([process.status, reading]);
      if (code !== 0) throw new Error(`The process of "${nodeId}" ended with ${code}`);
    }));
  }

  /** Kills those that are still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodeIds.map((nodeId) => this.kill(nodeId)));
  }

  async #read(stdout: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!; // What a killed process did not write to the end is lost.
      for (const line of lines) this.notes.push(JSON.parse(line));
      this.#wake();
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
