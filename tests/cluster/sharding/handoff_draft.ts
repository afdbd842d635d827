import {
  handoff,
  type HandoffAnswer,
  type HandoffFact,
  type HandoffState,
} from "../../../cluster/sharding/handoff.ts";
import {
  type Bounds,
  type Command,
  keyOfMessage,
  type Message,
  NAMES,
  nodeOf,
  type Process,
  type Request,
  type World,
} from "./handoff_world.ts";

/** The rules; each can be broken, and something must go wrong then. */
export interface Rules {
  /** Saves carry the claim. */
  readonly guard: boolean;
  /** Looks with `reads: "fenced"` carry the claim. */
  readonly marker: boolean;
  /** The fence is not claimed under an older map than it holds. */
  readonly order: boolean;
  /** Reads after a claim include everything up to the claim. */
  readonly replay: boolean;
  /** A deposed process looks at the fence before it claims again. */
  readonly look: boolean;
  /** The fence is released when nothing is under way any more. */
  readonly drain: boolean;
  /** A release is a compare-and-set. */
  readonly swap: boolean;
  /** A process that gets no answer claims by force. */
  readonly force: boolean;
}

/** The rules as they should be. */
export const RULES: Rules = {
  guard: true,
  marker: true,
  order: true,
  replay: true,
  look: true,
  drain: true,
  swap: true,
  force: true,
};

/** Thrown where a rule of the stream's history is broken. */
export class Broken extends Error {}

/** The world that comes next, while it is made. */
export class Draft {
  maps: World["maps"];
  fence: World["fence"];
  events: number;
  acked: number;
  processes: (Process | undefined)[];
  lives: number[];
  network: readonly Message[];
  left: Bounds;
  /** The work of the stream, for people. */
  note = "";
  readonly #rules: Rules;

  constructor(world: World, rules: Rules) {
    this.maps = world.maps;
    this.fence = world.fence;
    this.events = world.events;
    this.acked = world.acked;
    this.processes = [...world.processes];
    this.lives = [...world.lives];
    this.network = world.network;
    this.left = world.left;
    this.#rules = rules;
  }

  change(number: number, changes: Partial<Process>): void {
    const process = this.processes[nodeOf(number)]!;
    this.processes[nodeOf(number)] = { ...process, ...changes };
  }

  /** Tells a process a fact, if it lives, and does what it wants done. */
  tell(number: number, fact: HandoffFact): void {
    const process = this.processes[nodeOf(number)];
    if (process?.number !== number) return;
    if (fact.kind === "fenced" && !this.#rules.look) {
      const machine: HandoffState = { ...process.machine, phase: "claiming", claim: 0 };
      const { mapVersion } = machine;
      const request: Request = { kind: "claim", mapVersion, isBlind: true };
      return this.change(number, { machine, request });
    }
    const { state, effects } = handoff(process.machine, fact);
    this.change(number, { machine: state });
    for (const effect of effects) {
      switch (effect.kind) {
        case "read":
          this.#begin(number, { kind: "read" });
          break;
        case "ask": {
          const { holder, mapVersion } = effect;
          const to = NAMES.indexOf(holder.nodeId + holder.incarnation);
          this.send({ kind: "ask", from: number, to, sequence: holder.sequence, mapVersion });
          break;
        }
        case "claim":
          this.#begin(number, { kind: "claim", mapVersion: effect.mapVersion, isBlind: false });
          break;
        case "replay":
          this.#begin(number, { kind: "replay", claim: effect.claim });
          break;
        case "serve": {
          const { version, before } = this.processes[nodeOf(number)]!;
          if (version < before) {
            throw new Broken(
              `${NAMES[number]} serves with ${version} events, and ${before} were stored before ` +
                "its claim",
            );
          }
          break;
        }
        case "drain":
          if (!this.#rules.drain) this.tell(number, { kind: "drained", claim: effect.claim });
          break;
        case "stop":
          this.change(number, { command: undefined });
          break;
        case "release":
          this.#begin(number, { kind: "release", claim: effect.claim });
          break;
        case "answer":
          this.#answer(number, effect.answer);
      }
    }
  }

  /** Takes one thing to do at a time: a second one would leave the first without its answer. */
  #begin(number: number, request: Request): void {
    const { request: before } = this.processes[nodeOf(number)]!;
    if (before !== undefined && before.kind !== "replay") {
      throw new Broken(`${NAMES[number]} begins a ${request.kind} during a ${before.kind}`);
    }
    this.change(number, { request });
  }

  #answer(number: number, answer: HandoffAnswer): void {
    const { waiting } = this.processes[nodeOf(number)]!;
    for (const [to, sequence] of waiting) this.send({ kind: "answer", to, sequence, answer });
    this.change(number, { waiting: [] });
  }

  wait(number: number, from: number, sequence: number): void {
    const { waiting } = this.processes[nodeOf(number)]!;
    if (waiting.some(([other, its]) => other === from && its === sequence)) return;
    this.change(number, { waiting: [...waiting, [from, sequence]] });
  }

  send(message: Message): void {
    this.network = [...this.network, message];
  }

  /** The stream decides about a claim. */
  claim(
    by: number,
    { mapVersion, isBlind }: { mapVersion: number; isBlind: boolean },
  ): { sequence: number; events: number } | "refused" {
    const { fence } = this;
    const isOlder = fence === undefined || fence.mapVersion < mapVersion ||
      (fence.mapVersion === mapVersion && fence.by === by);
    if (!isOlder && this.#rules.order && !isBlind) {
      this.note = ", which is refused";
      return "refused";
    }
    this.write({ by, after: fence?.sequence ?? 0, mapVersion, state: "claimed" });
    if (fence?.state === "claimed") this.note += ` over that of ${NAMES[fence.by]}`;
    return { sequence: this.fence!.sequence, events: this.events };
  }

  /** The stream decides about a release. */
  release(by: number, claim: number): void {
    const mapVersion = this.processes[nodeOf(by)]!.claimedUnder;
    const after = this.#rules.swap ? claim : this.fence?.sequence ?? 0;
    this.write({ by, after, mapVersion, state: "released" });
  }

  /** A compare-and-set on the fence. */
  write(
    { by, after, mapVersion, state }: Omit<Extract<Message, { kind: "fence" }>, "kind">,
  ): void {
    const { fence } = this;
    if (after !== (fence?.sequence ?? 0)) {
      this.note = ", which is refused";
      return;
    }
    if (fence !== undefined && mapVersion < fence.mapVersion) {
      throw new Broken(
        `${NAMES[by]} writes the fence under map ${mapVersion}, and it held map ` +
          `${fence.mapVersion} of ${NAMES[fence.by]}`,
      );
    }
    this.fence = { sequence: after + 1, by, mapVersion, state };
    this.note = ", which is stored";
  }

  /** The stream decides about a save, or about the marker of a look. */
  save(by: number, command: Command): "stored" | "fenced" | "stale" {
    const outcome = this.#decide(by, command);
    this.note = `, which is ${outcome}`;
    return outcome;
  }

  #decide(by: number, { kind, claim, version }: Command): "stored" | "fenced" | "stale" {
    const { fence } = this;
    const isGuarded = kind === "look" ? this.#rules.marker : this.#rules.guard;
    if (isGuarded && claim !== fence?.sequence) return "fenced";
    if (kind === "look") return "stored";
    if (version !== this.events) return "stale";
    if (fence?.by !== by || fence.state !== "claimed") {
      const owner = fence && `${NAMES[fence.by]} has ${fence.state} it`;
      throw new Broken(`an event of ${NAMES[by]} is stored where ${owner}`);
    }
    this.events++;
    return "stored";
  }

  /** A request that nobody waits for any more may still arrive, now or later, over this fence. */
  leaveBehind(by: number, request: Request): void {
    const mapVersion = request.kind === "claim"
      ? request.mapVersion
      : this.processes[nodeOf(by)]!.claimedUnder;
    if (request.kind === "claim") {
      const { fence } = this;
      if (fence !== undefined && fence.mapVersion >= mapVersion && fence.by !== by) return;
      const after = fence?.sequence ?? 0;
      this.send({ kind: "fence", by, after, mapVersion, state: "claimed" });
    } else if (request.kind === "release") {
      this.send({ kind: "fence", by, after: request.claim, mapVersion, state: "released" });
    }
  }

  leaveCommandBehind(by: number, { kind, claim, version, outcome }: Command): void {
    if (kind === "save" && outcome === undefined) this.send({ kind, by, claim, version });
  }

  /** Without what can have no effect any more, and in one order. */
  done(): World {
    const { maps, fence, events, acked, processes, lives, left } = this;
    const sequence = fence?.sequence ?? 0;
    if (this.network.length === 0) {
      return { maps, fence, events, acked, processes, lives, network: this.network, left };
    }
    const network = this.network.filter((message) => {
      switch (message.kind) {
        case "ask":
          return true;
        case "answer":
          return processes[nodeOf(message.to)]?.number === message.to;
        case "save":
          return message.version >= events && (!this.#rules.guard || message.claim === sequence);
        case "fence":
          return message.after === sequence;
      }
    });
    const sorted = new Map(network.map((message) => [keyOfMessage(message), message]));
    const ordered = [...sorted.keys()].sort().map((key) => sorted.get(key)!);
    return { maps, fence, events, acked, processes, lives, network: ordered, left };
  }
}
