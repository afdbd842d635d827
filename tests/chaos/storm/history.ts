/**
 * The record of a storm: each process writes what it asks for and what it is told, a line each, to a
 * file of its own. A line is in the file before the process goes on, so a process that is killed
 * leaves an operation without an end, whose outcome nobody knows.
 *
 * @module
 */

import { openSync, writeSync } from "node:fs";

/** How an operation ended for its caller. */
export type Outcome = "ok" | "refused" | "unknown";

/** An event that a save names. */
export interface EventName {
  readonly actorId: string;
  readonly version: number;
  readonly id: string;
}

/** What an operation asks for. */
export type Input =
  | {
    readonly type: "save";
    readonly events: readonly EventName[];
    readonly expect?: readonly { readonly actorId: string; readonly version: number }[];
  }
  | {
    readonly type: "command";
    readonly actorIds: readonly string[];
    readonly commandId?: string;
    /** Whether its refusal is to be stored. */
    readonly record?: boolean;
  }
  | { readonly type: "send"; readonly actorId: string; readonly commandId: string }
  | { readonly type: "version"; readonly actorId: string; readonly fresh: boolean }
  | { readonly type: "read"; readonly actorId: string; readonly from: number }
  | { readonly type: "state"; readonly actorId: string }
  | { readonly type: "readAll"; readonly from: number };

/** What came back. Which fields there are, the input's type and the outcome say. */
export interface Output {
  /** Position of a save's last event, where the save itself was acknowledged. */
  readonly sequence?: number;
  /** Whether a save was stored before. */
  readonly duplicate?: boolean;
  /** What a command led to, one for each actor. */
  readonly results?: readonly {
    readonly version: number;
    readonly ids: readonly string[];
    readonly sequence: number;
    readonly duplicate: boolean;
  }[];
  /** The version that was read; of a refused save the one that stood in its way. */
  readonly version?: number;
  /** Of a refused save, the actor that stood in its way. */
  readonly actorId?: string;
  /** The events that were read: position or version, and id. */
  readonly events?: readonly (readonly [number, string])[];
  /** Whether a read came to the end of the store by itself. */
  readonly isWhole?: boolean;
  /** What the actor's events make up. */
  readonly state?: { readonly count: number; readonly sum: number };
  /** The name of the error that it ended by. */
  readonly error?: string;
}

/** Something that a process was given: an event of a subscription, a lease, … */
export interface Sighting {
  readonly worker: string;
  readonly life: number;
  readonly at: number;
  readonly kind: string;
  readonly what: unknown;
}

/** An operation, from its begin to its end. */
export interface Operation {
  readonly id: string;
  readonly worker: string;
  readonly life: number;
  readonly kind: string;
  readonly input: Input;
  readonly start: number;
  /** When its outcome was known; infinite where the process did not live to see it. */
  readonly end: number;
  readonly outcome: Outcome;
  readonly output: Output;
}

/** A line of a history file. */
interface Line {
  readonly at: number;
  readonly worker: string;
  readonly life: number;
  readonly kind: string;
  /** Absent in a sighting. */
  readonly op?: string;
  readonly phase?: "invoke" | Outcome;
  readonly input?: Input;
  readonly output?: Output;
  readonly what?: unknown;
}

/** The time in ms; all processes of a machine agree on it, and it does not go back. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Writes the history of one process. */
export class Recorder {
  readonly #file: number;
  readonly #worker: string;
  readonly #life: number;
  #count = 0;

  /** Appends to the file at `path`. */
  constructor(path: string, worker: string, life: number) {
    this.#file = openSync(path, "a");
    writeSync(this.#file, "\n"); // A life before may have been killed in the middle of a line.
    this.#worker = worker;
    this.#life = life;
  }

  /** Begins an operation; gives its id. */
  invoke(kind: string, inputOf: (op: string) => Input): string {
    const op = `${this.#worker}-${this.#life}-${++this.#count}`;
    this.#write({ kind, op, phase: "invoke", input: inputOf(op) });
    return op;
  }

  /** Ends an operation. */
  end(kind: string, op: string, phase: Outcome, output: Output): void {
    this.#write({ kind, op, phase, output });
  }

  /** Notes something that the process was given or believes. */
  see(kind: string, what: unknown): void {
    this.#write({ kind, what });
  }

  #write(line: Omit<Line, "at" | "worker" | "life">): void {
    const { kind, ...rest } = line;
    const by = { at: now(), worker: this.#worker, life: this.#life, kind };
    writeSync(this.#file, `${JSON.stringify({ ...by, ...rest })}\n`);
  }
}

/** The content of history files. */
export interface History {
  readonly operations: readonly Operation[];
  readonly sightings: readonly Sighting[];
}

/** Puts lines together; a last line that a killed process did not end is left out. */
export function historyOf(texts: readonly string[]): History {
  const begun = new Map<string, Operation>();
  const sightings: Sighting[] = [];
  for (const text of texts) {
    for (const row of text.split("\n")) {
      const line = parsed(row);
      if (line === undefined) continue;
      const { at, worker, life, kind, op, phase, input, output = {} } = line;
      if (op === undefined) {
        sightings.push({ at, worker, life, kind, what: line.what });
      } else if (phase === "invoke") {
        const open = { end: Infinity, outcome: "unknown", output } as const;
        begun.set(op, { id: op, worker, life, kind, input: input!, start: at, ...open });
      } else {
        begun.set(op, { ...begun.get(op)!, end: at, outcome: phase!, output });
      }
    }
  }
  const operations = [...begun.values()].sort((one, other) => one.start - other.start);
  return { operations, sightings: sightings.sort((one, other) => one.at - other.at) };
}

function parsed(row: string): Line | undefined {
  try {
    return JSON.parse(row);
  } catch {
    return undefined; // Torn by a kill: the next life begins in the middle of its line.
  }
}
