import { freshCopy } from "../base/fresh.ts";
import { textOf } from "../base/text.ts";
import { tokenProblem } from "../base/token.ts";
import type { CommandCause } from "../command/pending_command.ts";

/** A `Decider` of any state, commands and events. */
export interface OutgoingDecider {
  /** Returns the state of an actor without events. */
  readonly initialState: () => unknown;
  /** Returns the state after `event`. */
  // deno-lint-ignore no-explicit-any -- each decider has states and events of its own
  readonly evolve: (state: any, event: any) => unknown;
  /** Returns the events that `command` leads to, or throws to refuse. */
  // deno-lint-ignore no-explicit-any -- each decider has states and commands of its own
  readonly decide: (command: any, state: any) => unknown;
}

/** A command that an event leads to. */
export interface Outgoing {
  /** The actor that gets it: the same for the same event, whenever it is asked for. */
  readonly actorId: string;
  /** The command: plain data if it goes out by `send`. */
  readonly command: unknown;
  /** The rules to run it by, on the store of the events. @default {it goes out by `send`} */
  readonly decider?: OutgoingDecider;
  /**
   * Tells it from the event's other commands to that actor, and takes part in its id. Without one
   * it is counted among those to that actor that have none.
   *
   * @default {its count}
   */
  readonly key?: string;
}

/** The facts that go with a command by {@linkcode SendCommand}. */
export interface SendFacts {
  /** Names the command, the same at each try. */
  readonly commandId: string;
  /** The event that led to it. */
  readonly cause: CommandCause;
  /** Aborted when the sender stops. */
  readonly signal: AbortSignal;
}

/**
 * Takes a command to its actor, wherever that is: `(...command) => cluster.send(...command)` takes it
 * to a cluster. It resolves when the command is handled, and has to handle it once for each
 * `commandId`. `CommandFailedError` and `CommandRefusedError` count as a refusal.
 */
export type SendCommand = (
  actorId: string,
  command: unknown,
  facts: SendFacts,
) => Promise<unknown>;

/**
 * The commands that `react` gave, as the library's own: their content changes no more.
 *
 * @throws {TypeError} It is something else.
 */
export function outgoingOf(reaction: unknown): readonly Outgoing[] {
  if (reaction === undefined || reaction === null) return [];
  const all: readonly unknown[] = Array.isArray(reaction) ? [...reaction] : [reaction];
  return all.map((one) => {
    const { actorId, command, decider, key } = objectIn(one, "a command") as Partial<Outgoing>;
    checkTargetIn(actorId, key);
    return {
      ...{ actorId: actorId!, command: freshCopy(command) },
      ...(decider !== undefined && { decider: deciderIn(decider) }),
      ...(key !== undefined && { key }),
    };
  });
}

/** `value`, if it is an object; else the reaction is refused. */
export function objectIn(value: unknown, what: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new TypeError(`Cannot react: it gave ${textOf(value)}, not ${what}`);
}

/** Refuses a command that has no legal target or key. */
export function checkTargetIn(actorId: unknown, key: unknown): void {
  const problem = tokenProblem(actorId);
  if (problem !== undefined) {
    throw new RangeError(`Cannot send the command: its actorId ${problem}`);
  }
  checkKey(key);
}

/** Refuses a key that is not text. */
export function checkKey(key: unknown): void {
  if (key === undefined || typeof key === "string") return;
  throw new TypeError(`Cannot react: it gave the key ${textOf(key)}, not text`);
}

function deciderIn(decider: OutgoingDecider): OutgoingDecider {
  const functions = (["initialState", "evolve", "decide"] as const)
    .every((name) => typeof decider?.[name] === "function");
  if (functions) return decider;
  throw new TypeError(`Cannot react: it gave ${textOf(decider)}, not a decider`);
}

/** Commands with their keys: the user's, or the count among those to the same actor without one. */
export function withKeys<Sent extends { readonly actorId: string; readonly key?: string }>(
  all: readonly Sent[],
): { readonly outgoing: Sent; readonly key: string | number }[] {
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  return all.map((outgoing) => {
    const { actorId, key } = outgoing;
    if (key === undefined) {
      const count = counts.get(actorId) ?? 0;
      counts.set(actorId, count + 1);
      return { outgoing, key: count };
    }
    const pair = JSON.stringify([actorId, key]);
    if (seen.has(pair)) {
      throw new TypeError(`Cannot send two commands to "${actorId}" under one key, "${key}"`);
    }
    seen.add(pair);
    return { outgoing, key };
  });
}
