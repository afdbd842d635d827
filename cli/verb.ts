import type { ParseArgsConfig } from "node:util";
import type { JetStreamEventStore } from "../store/mod.ts";
import type { Connection } from "../store/connection.ts";
import type { Output } from "./output.ts";

/** The values of a verb's options, as `parseArgs` of `node:util` gives them. */
export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** What a verb works with. */
export interface VerbContext {
  /** The words behind the verb. */
  readonly words: readonly string[];
  /** The options. */
  readonly values: Values;
  /** Prints. */
  readonly output: Output;
  /** Ends the verb: the user has pressed Ctrl-C. */
  readonly signal: AbortSignal;
  /** The namespace of `--namespace`. */
  readonly namespace: string;
  /** The user's module of `--app`. */
  readonly app: App;
  /** Connects to the servers. */
  connect(): Promise<Connection>;
  /** Opens the store of the namespace, which has to be there; it is closed behind the verb. */
  open(): Promise<JetStreamEventStore>;
}

/** The exports of the user's module that verbs use; all may be left out. */
export interface App {
  /** As the option of stores. */
  readonly upcasters?: NonNullable<Parameters<typeof JetStreamEventStore.open>[1]>["upcasters"];
  /** As the option of stores. */
  readonly events?: NonNullable<Parameters<typeof JetStreamEventStore.open>[1]>["events"];
  /** As the option of stores. */
  readonly codec?: NonNullable<Parameters<typeof JetStreamEventStore.open>[1]>["codec"];
  /** Deciders by category, whose states `show` folds. */
  readonly deciders?: Readonly<
    Record<string, { initialState(): unknown; evolve(state: never, event: never): unknown }>
  >;
  /** What `import` makes of an event: itself, others, or none. */
  readonly transform?: (event: never) => unknown;
}

/** One verb of the command line. */
export interface Verb {
  /** The words that it takes, for the usage line. */
  readonly usage: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What more there is to know. */
  readonly details?: string;
  /** Its own options, each with its description. */
  readonly options?: Readonly<Record<string, VerbOption>>;
  /** Example lines. */
  readonly examples: readonly string[];
  /** Whether it goes on until Ctrl-C, and then outlasts any outage of the servers. @default {false} */
  readonly lasts?: boolean;
  /** How many words it takes: the least and the most. */
  readonly words: readonly [least: number, most: number];
  /** Does it; gives the exit code. */
  run(context: VerbContext): Promise<number>;
}

/** An option of a verb. */
export type VerbOption = NonNullable<ParseArgsConfig["options"]>[string] & {
  /** What it means, for the help. */
  readonly description: string;
  /** The name of its value, for the help. */
  readonly value?: string;
};

/**
 * The whole number of an option, from 0 to `most`; `fallback` if it is not given.
 *
 * @throws {UsageError} It is something else.
 */
export function numberIn<Fallback>(
  values: Values,
  name: string,
  fallback: Fallback,
  most: number = Number.MAX_SAFE_INTEGER,
): number | Fallback {
  const text = values[name];
  if (text === undefined) return fallback;
  const number = /^\d+$/.test(String(text)) ? Number(text) : NaN;
  if (number <= most) return number;
  throw new UsageError(`--${name} ${text} is no whole number from 0 to ${most}`);
}

/** Thrown for a command line that makes no sense: the program ends with 2. */
export class UsageError extends Error {}
