import type { FenceHolder } from "../../../store/errors.ts";
import type { Model, Move } from "../../support/explore.ts";
import { Broken, Draft, RULES, type Rules } from "./handoff_draft.ts";
import {
  begin,
  type Bounds,
  type Fence,
  isGood,
  keyOf,
  type Message,
  NAMES,
  nodeOf,
  type Process,
  PROCESSES,
  type World,
} from "./handoff_world.ts";

/**
 * One shard, two nodes and a spare that run the handoff of the library, and all that can happen
 * around them: the coordinator makes maps whenever it likes; messages may come late, twice, in
 * another order or never; outcomes stay unknown; processes crash and come back as another;
 * deadlines pass at any time. A process that is paused is one whose moves are not made for a while,
 * and to which the others' deadlines pass: nothing forces a process to move, so that every pause of
 * every length is among the histories visited, without a word about it.
 */
export function handoffModel(bounds: Bounds, rules: Rules = RULES): Model<World> {
  const initial: World = {
    maps: [0],
    fence: undefined,
    events: 0,
    acked: 0,
    processes: [begin(0), begin(2), begin(4)],
    lives: [1, 1, 1],
    network: [],
    left: bounds,
  };
  return { initial, key: keyOf, isGood, moves: (world) => new Moves(world, rules).all() };
}

/** All that can happen in one world. */
class Moves {
  readonly #world: World;
  readonly #rules: Rules;
  readonly #moves: Move<World>[] = [];

  constructor(world: World, rules: Rules) {
    this.#world = world;
    this.#rules = rules;
  }

  all(): readonly Move<World>[] {
    this.#coordinator();
    for (const process of this.#world.processes) {
      if (process === undefined) continue;
      this.#hears(process);
      this.#requests(process);
      this.#commands(process);
      this.#ends(process);
    }
    this.#restarts();
    for (const message of this.#world.network) this.#message(message);
    return this.#moves;
  }

  /** Something that happens by itself, sooner or later. */
  #goes(label: string, happen: (next: Draft) => void, isProgress = true): void {
    const draft = new Draft(this.#world, this.#rules);
    let to: World | string;
    try {
      happen(draft);
      to = draft.done();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      to = error.message;
    }
    this.#moves.push({ label: label + draft.note, to, isProgress });
  }

  /** Something that somebody wants, or that goes wrong. */
  #may(label: string, happen: (next: Draft) => void): void {
    this.#goes(label, happen, false);
  }

  #spends(what: keyof Bounds, label: string, happen: (next: Draft) => void): void {
    if (this.#world.left[what] === 0) return;
    this.#may(label, (next) => {
      next.left = { ...next.left, [what]: next.left[what] - 1 };
      happen(next);
    });
  }

  #coordinator(): void {
    const { maps, processes } = this.#world;
    const owner = maps.at(-1)!;
    const current = processes[nodeOf(owner)];
    const isLost = current?.number !== owner || current.machine.leaving;
    for (const process of processes) {
      if (process === undefined || process.machine.leaving) continue;
      if (process.number === 4 && this.#isLikeB()) continue;
      const publish = (next: Draft) => void (next.maps = [...next.maps, process.number]);
      const label = `map ${maps.length + 1} gives the shard to ${NAMES[process.number]}`;
      if (isLost) this.#goes(label, publish);
      else this.#spends("maps", label, publish);
    }
  }

  /** Whether B and C are still alike: then B covers what could happen to C. */
  #isLikeB(): boolean {
    const { lives, maps, processes } = this.#world;
    return maps.every((owner) => nodeOf(owner) === 0) && lives[1] === 1 &&
      processes[1]?.machine.leaving === false && processes[2] !== undefined;
  }

  #hears({ number, machine }: Process): void {
    const { maps } = this.#world;
    for (let mapVersion = machine.mapVersion + 1; mapVersion <= maps.length; mapVersion++) {
      const mine = maps[mapVersion - 1] === number;
      // To hear of it would change nothing but what it could hear afterwards.
      if (!mine && machine.phase === "idle" && !machine.mine) continue;
      this.#goes(
        `${NAMES[number]} hears of map ${mapVersion}`,
        (next) => next.tell(number, { kind: "map", mapVersion, mine }),
        mapVersion === maps.length,
      );
    }
  }

  #requests({ number, machine, request, command, before }: Process): void {
    const name = NAMES[number];
    const { fence, events } = this.#world;
    if (machine.phase === "draining" && command === undefined) {
      this.#goes(`${name} has drained`, (next) => {
        next.tell(number, { kind: "drained", claim: machine.claim });
      });
    }
    if (machine.phase === "asking" && this.#rules.force) {
      // If the answer may still come, the deadline passes too early.
      this.#goes(
        `${name} waits no longer for an answer`,
        (next) => {
          next.tell(number, { kind: "answered", sequence: machine.asked, answer: "nothing" });
        },
        !this.#isAnswerDue(number),
      );
    }
    if (request === undefined) return;
    const { kind } = request;
    if (kind === "replay") {
      const reached = this.#rules.replay
        ? new Set([before, events])
        : Array.from({ length: events + 1 }, (_, at) => at);
      for (const version of reached) {
        this.#goes(`${name} has replayed ${version} events`, (next) => {
          next.change(number, { request: undefined, version });
          next.tell(number, { kind: "replayed", claim: request.claim });
        });
      }
      this.#spends("faults", `${name} cannot replay yet`, (next) => {
        next.change(number, { request: undefined });
        next.tell(number, { kind: "unreplayed", claim: request.claim });
      });
      return;
    }
    if (request.outcome === undefined) {
      this.#goes(`the stream takes ${name}'s ${kind}`, (next) => {
        if (kind === "read") {
          return next.change(number, { request: { ...request, outcome: fence ?? "none" } });
        }
        if (kind === "release") {
          next.release(number, request.claim);
          return next.change(number, { request: { ...request, outcome: "settled" } });
        }
        next.change(number, { request: { ...request, outcome: next.claim(number, request) } });
      });
    } else {
      this.#goes(`${name} hears what came of its ${kind}`, (next) => {
        next.change(number, { request: undefined });
        if (request.kind === "read") {
          next.tell(number, { kind: "read", fence: this.#told(request.outcome as Fence) });
        } else if (request.kind === "release") {
          next.tell(number, { kind: "released" });
        } else if (typeof request.outcome === "object") {
          const { sequence, events: before } = request.outcome;
          next.change(number, { before, claimedUnder: request.mapVersion });
          next.tell(number, { kind: "claimed", sequence });
        } else {
          next.tell(number, { kind: "refused" });
        }
      });
    }
    this.#spends("faults", `${name} never hears what came of its ${kind}`, (next) => {
      next.change(number, { request: undefined });
      if (request.outcome === undefined) next.leaveBehind(number, request);
      const facts = { read: "unread", claim: "unclaimed", release: "unreleased" } as const;
      next.tell(number, { kind: facts[kind] });
    });
  }

  #commands({ number, machine, command, version }: Process): void {
    const name = NAMES[number];
    const { fence } = this.#world;
    const { claim } = machine;
    if (command === undefined) {
      if (machine.phase !== "serving") return;
      this.#spends("saves", `${name} takes a command, and saves an event`, (next) => {
        next.change(number, { command: { kind: "save", claim, version } });
      });
      const look = (next: Draft) => {
        next.change(number, { command: { kind: "look", claim, version } });
      };
      // Clients go on calling, so a process that was deposed unawares hears of it.
      const label = `${name} takes a command, and saves nothing`;
      if (claim !== fence?.sequence) this.#goes(label, look);
      else this.#spends("looks", label, look);
      return;
    }
    if (command.outcome === undefined) {
      this.#goes(`the stream takes ${name}'s ${command.kind}`, (next) => {
        const outcome = next.save(number, command);
        if (outcome === "fenced" && fence?.by === number) {
          throw new Broken(`what ${name} had under way was refused by a fence of its own`);
        }
        if (outcome === "stored" && command.kind === "look" && version < next.acked) {
          throw new Broken(
            `${name} answers from ${version} events, and ${next.acked} were acknowledged`,
          );
        }
        const isOver = outcome === "stored" && command.kind === "look";
        next.change(number, { command: isOver ? undefined : { ...command, outcome } });
      });
      this.#spends("faults", `${name} gives up on its ${command.kind}`, (next) => {
        next.leaveCommandBehind(number, command);
        next.change(number, { command: undefined, version: next.events });
      });
      return;
    }
    this.#goes(`${name} hears what came of its ${command.kind}`, (next) => {
      next.change(number, { command: undefined });
      if (command.outcome === "fenced") {
        next.tell(number, { kind: "fenced", claim: command.claim });
      } else if (command.outcome === "stale") {
        next.change(number, { version: next.events });
      } else if (command.kind === "save") {
        next.acked = Math.max(next.acked, command.version + 1);
        next.change(number, { version: command.version + 1 });
      }
    });
    if (command.outcome !== "stored") return;
    this.#spends("faults", `${name} never hears what came of its ${command.kind}`, (next) => {
      next.change(number, { command: undefined, version: next.events });
    });
  }

  #ends({ number, machine, request, command }: Process): void {
    const name = NAMES[number];
    const end = (next: Draft) => {
      if (request !== undefined && !("outcome" in request)) next.leaveBehind(number, request);
      if (command !== undefined) next.leaveCommandBehind(number, command);
      next.processes[nodeOf(number)] = undefined;
    };
    if (machine.leaving && machine.phase === "idle") this.#goes(`${name} has left`, end);
    if (number === 4 && this.#isLikeB()) return;
    this.#spends("crashes", `${name} crashes`, end);
    if (machine.leaving) return;
    this.#spends("leaves", `${name} is to leave`, (next) => next.tell(number, { kind: "leave" }));
  }

  #restarts(): void {
    for (const [node, process] of this.#world.processes.entries()) {
      const life = this.#world.lives[node]!;
      if (process !== undefined || life === 2) continue;
      const number = 2 * node + life;
      this.#may(`${NAMES[number]} starts`, (next) => {
        next.processes[node] = begin(number);
        next.lives[node] = life + 1;
      });
    }
  }

  #message(message: Message): void {
    const { processes } = this.#world;
    const remove = (next: Draft) => {
      next.network = next.network.filter((other) => other !== message);
    };
    switch (message.kind) {
      case "ask": {
        const { from, to, sequence, mapVersion } = message;
        const [asker, asked] = [NAMES[from], NAMES[to]];
        if (processes[nodeOf(to)]?.number !== to) {
          if (!this.#rules.force) return;
          this.#goes(`${asker} is told that ${asked} is no more`, (next) => {
            remove(next);
            next.tell(from, { kind: "answered", sequence, answer: "nothing" });
          });
          return;
        }
        const hear = (next: Draft) => {
          next.wait(to, from, sequence);
          next.tell(to, { kind: "asked", mapVersion });
        };
        this.#goes(`${asked} hears what ${asker} asks`, (next) => (remove(next), hear(next)));
        this.#spends("faults", `${asked} hears what ${asker} asks, and will again`, hear);
        this.#spends("faults", `what ${asker} asks ${asked} is lost`, remove);
        return;
      }
      case "answer": {
        const { to, sequence, answer } = message;
        const hear = (next: Draft) => next.tell(to, { kind: "answered", sequence, answer });
        this.#goes(`${NAMES[to]} hears "${answer}"`, (next) => (remove(next), hear(next)));
        this.#spends("faults", `${NAMES[to]} hears "${answer}", and will again`, hear);
        this.#spends("faults", `the answer "${answer}" to ${NAMES[to]} is lost`, remove);
        return;
      }
      case "save":
        this.#may(`a save that ${NAMES[message.by]} gave up on arrives`, (next) => {
          remove(next);
          next.save(message.by, { ...message, kind: "save" });
        });
        return;
      case "fence":
        this.#may(`a fence that ${NAMES[message.by]} gave up on arrives`, (next) => {
          remove(next);
          next.write(message);
        });
    }
  }

  /** Whether somebody is still to answer what the process has asked. */
  #isAnswerDue(number: number): boolean {
    const { network, processes } = this.#world;
    return network.some((message) =>
      (message.kind === "ask" && message.from === number) ||
      (message.kind === "answer" && message.to === number)
    ) || processes.some((process) => process?.waiting.some(([from]) => from === number));
  }

  #told(fence: Fence | "none"): FenceHolder | undefined {
    if (fence === "none") return undefined;
    const { by, sequence, mapVersion, state } = fence;
    return {
      ...PROCESSES[by]!,
      sequence,
      state,
      mapVersion: this.#rules.order ? mapVersion : 0,
    };
  }
}
