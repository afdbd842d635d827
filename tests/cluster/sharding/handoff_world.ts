import type { NodeIncarnation } from "../../../cluster/incarnation.ts";
import {
  beginHandoff,
  type HandoffAnswer,
  type HandoffState,
} from "../../../cluster/sharding/handoff.ts";

/** How much may happen. */
export interface Bounds {
  /** Maps that the coordinator makes of its own will; more where an owner is dead. */
  readonly maps: number;
  /** Commands that save an event. */
  readonly saves: number;
  /** Commands that look at the state with `reads: "fenced"`. */
  readonly looks: number;
  /** Messages that are lost or doubled, and outcomes that nobody hears of. */
  readonly faults: number;
  readonly crashes: number;
  /** Processes that end as they should. */
  readonly leaves: number;
}

/** Lives of the nodes A, B and the spare C, by number: A1, A2, B1, B2, C1, C2. */
export const PROCESSES: readonly NodeIncarnation[] = ["A", "B", "C"].flatMap((nodeId) =>
  ["1", "2"].map((incarnation) => ({ nodeId, incarnation }))
);
export const NAMES = PROCESSES.map(({ nodeId, incarnation }) => nodeId + incarnation);
export const nodeOf = (process: number) => process >> 1;

export interface Fence {
  readonly sequence: number;
  readonly by: number;
  readonly mapVersion: number;
  readonly state: "claimed" | "released";
}

/**
 * The thing that a process waits for; `outcome` once the stream has decided, while the answer
 * travels.
 */
export type Request =
  | { readonly kind: "read"; readonly outcome?: Fence | "none" }
  | {
    readonly kind: "claim";
    readonly mapVersion: number;
    /** Over whatever there is; a broken rule. */
    readonly isBlind: boolean;
    readonly outcome?: { readonly sequence: number; readonly events: number } | "refused";
  }
  | { readonly kind: "release"; readonly claim: number; readonly outcome?: "settled" }
  | { readonly kind: "replay"; readonly claim: number };

/** A command under way: an event to save at `version` + 1, or a look at the state of `version`. */
export interface Command {
  readonly kind: "save" | "look";
  readonly claim: number;
  readonly version: number;
  readonly outcome?: "stored" | "fenced" | "stale";
}

/** A living process. */
export interface Process {
  readonly number: number;
  readonly machine: HandoffState;
  readonly request: Request | undefined;
  readonly command: Command | undefined;
  /** Version of the shard's one actor, as this process knows it. */
  readonly version: number;
  /** Events that were stored before its claim. */
  readonly before: number;
  /** The map that it claimed under. */
  readonly claimedUnder: number;
  /** The processes that have asked and wait: [process, sequence of the fence]. */
  readonly waiting: readonly (readonly [from: number, sequence: number])[];
}

/** Messages on their way to nobody any more. */
export type Message =
  | {
    readonly kind: "ask";
    readonly from: number;
    readonly to: number;
    readonly sequence: number;
    readonly mapVersion: number;
  }
  | {
    readonly kind: "answer";
    readonly to: number;
    readonly sequence: number;
    readonly answer: HandoffAnswer;
  }
  | { readonly kind: "save"; readonly by: number; readonly claim: number; readonly version: number }
  | {
    readonly kind: "fence";
    readonly by: number;
    readonly after: number;
    readonly mapVersion: number;
    readonly state: Fence["state"];
  };

/** Everything: the stream, the map, the processes, the network, and what may still happen. */
export interface World {
  /** The owner by each map, of version 1 and up. */
  readonly maps: readonly number[];
  readonly fence: Fence | undefined;
  /** Events of the shard that are stored. */
  readonly events: number;
  /** Events reported to a client as saved, the highest. */
  readonly acked: number;
  readonly processes: readonly (Process | undefined)[];
  readonly lives: readonly number[];
  readonly network: readonly Message[];
  readonly left: Bounds;
}

export function begin(number: number): Process {
  return {
    number,
    machine: beginHandoff(PROCESSES[number]!),
    request: undefined,
    command: undefined,
    version: 0,
    before: 0,
    claimedUnder: 0,
    waiting: [],
  };
}

/** The owner by the newest map serves, and its saves will be taken. */
export function isGood({ maps, processes, fence }: World): boolean {
  const owner = maps.at(-1)!;
  const process = processes[nodeOf(owner)];
  return process?.number === owner && process.machine.phase === "serving" &&
    process.machine.claim === fence?.sequence;
}

const PHASES = [
  "idle",
  "reading",
  "asking",
  "claiming",
  "replaying",
  "serving",
  "draining",
  "releasing",
];

const keys = new WeakMap<object, string>();

/** Remembered, for most of a world is the same in the next. */
function keyOfPart<T extends object>(part: T, make: (part: T) => string): string {
  let key = keys.get(part);
  if (key === undefined) keys.set(part, key = make(part));
  return key;
}

export function keyOf(world: World): string {
  const { maps, fence, events, acked, processes, lives, network, left } = world;
  const parts = [
    maps.join(""),
    fence === undefined ? "" : keyOfPart(fence, keyOfFence),
    `${events}${acked}`,
    ...processes.map((it) => it === undefined ? "" : keyOfPart(it, keyOfProcess)),
    lives.join(""),
    network.map((message) => keyOfPart(message, keyOfMessage)).join("~"),
    keyOfPart(left, (left) => Object.values(left).join("")),
  ];
  return parts.join("|");
}

function keyOfFence({ sequence, by, mapVersion, state }: Fence): string {
  return `${sequence}.${by}${mapVersion}${state[0]}`;
}

function keyOfProcess(process: Process): string {
  const { number, machine, request, command, version, before, claimedUnder, waiting } = process;
  const { phase, mapVersion, mine, leaving, asked, claim } = machine;
  const isBehind = phase === "idle" || phase === "reading" || phase === "asking";
  return [
    `${number}${PHASES.indexOf(phase)}${mapVersion}${mine ? 1 : leaving ? 2 : 0}`,
    asked,
    claim,
    request === undefined ? "" : JSON.stringify(request),
    command === undefined ? "" : JSON.stringify(command),
    // Without a claim, nothing that it knows counts.
    isBehind ? "" : `${version}.${before}.${claimedUnder}`,
    waiting.join(";"),
  ].join(",");
}

export function keyOfMessage(message: Message): string {
  return Object.values(message).join(",");
}
