import { isSameIncarnation, type NodeIncarnation } from "../incarnation.ts";
import {
  beginHandoff,
  handoff,
  type HandoffAnswer,
  type HandoffEffect,
  type HandoffFact,
  type HandoffPhase,
  type HandoffState,
} from "./handoff.ts";
import type { Ability } from "./ability.ts";
import { Slots } from "./slots.ts";
import type { ShardMap } from "./shard_map.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { Notifier } from "../../store/base/notifier.ts";
import { sleep } from "../../store/base/sleep.ts";
import { type FenceHolder, isAetherError } from "../../store/errors.ts";
import type { RequestMux } from "../../store/nats/requests.ts";

/** Reads and writes the fences. */
export interface ShardClaims {
  /** Reads a shard's fence. */
  readFence(shard: number): Promise<FenceHolder | undefined>;
  /** Makes this process the owner; later reads include everything up to the claim. */
  claim(shard: number, mapVersion: number, signal: AbortSignal): Promise<FenceHolder>;
  /** Finishes the saves under way, and releases the shard. */
  release(shard: number, signal: AbortSignal): Promise<unknown>;
}

/** The parts that the shards of a process need. */
export interface ShardsParts {
  readonly requests: RequestMux;
  readonly self: NodeIncarnation;
  /** How many the store has. */
  readonly shards: number;
  readonly claims: ShardClaims;
  readonly ability: Ability;
  /** Asks a process for the release of a shard; rejects if no answer comes. */
  readonly ask: (
    holder: NodeIncarnation,
    shard: number,
    mapVersion: number,
  ) => Promise<HandoffAnswer>;
  /** Whether a process is part of the cluster. */
  readonly isMember: (owner: NodeIncarnation) => boolean;
  /** Resolves when no command of the shard is under way; `undefined` if none is. */
  readonly drained: (shard: number) => Promise<void> | undefined;
  /** Called when what is kept of the shard's actors no longer counts. */
  readonly forget: (shard: number) => void;
  /** How long commands under way may keep a shard that is to move, in ms. */
  readonly drainTimeout: number;
}

/**
 * Shards that are read, claimed or released at once: thousands at once would keep the event loop
 * and the server so busy that requests time out.
 */
const AT_ONCE = 256;
/** Shards that are looked at before other work has its turn. */
const SLICE = 1024;

/** The shards of one process: carries out what {@linkcode handoff} decides for each. */
export class Shards {
  /** Notified of each shard that changes its phase. */
  readonly changed: Notifier = new Notifier();
  readonly #parts: ShardsParts;
  readonly #states: HandoffState[];
  /** Callers that wait for the release of a shard. */
  readonly #asking = new Map<number, ((answer: HandoffAnswer) => void)[]>();
  /** Callers that wait for a shard to be served. */
  readonly #coming = new Map<number, Notifier>();
  readonly #work = new Set<Promise<void>>();
  readonly #slots = new Slots(AT_ONCE);
  readonly #ends = new AbortController();
  readonly #counts = new Map<HandoffPhase, number>();
  #mapVersion = 0;

  /** Begins without any. */
  constructor(parts: ShardsParts) {
    this.#parts = parts;
    this.#states = Array.from({ length: parts.shards }, () => beginHandoff(parts.self));
    this.#counts.set("idle", parts.shards);
  }

  /** The newest map that was taken. */
  get mapVersion(): number {
    return this.#mapVersion;
  }

  /** Whether commands of the shard are handled here. */
  serves(shard: number): boolean {
    return this.#states[shard]?.phase === "serving" && !this.#ends.signal.aborted;
  }

  /**
   * Whether commands of the shard are handled here, now or within `ms`: waits for a shard that is
   * on its way here.
   */
  async comes(shard: number, ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    while (!this.serves(shard)) {
      const left = deadline - performance.now();
      if (left <= 0 || this.#states[shard]?.mine !== true || this.#ends.signal.aborted) {
        return false;
      }
      let coming = this.#coming.get(shard);
      if (coming === undefined) this.#coming.set(shard, coming = new Notifier());
      await coming.wait(left, this.#ends.signal);
    }
    return true;
  }

  /** How many shards are in which phase; all are idle once this is closed. */
  get phases(): ReadonlyMap<HandoffPhase, number> {
    return this.#ends.signal.aborted ? new Map([["idle", this.#states.length]]) : this.#counts;
  }

  /** Shards that this process should serve, or release, and has not yet. */
  get unsettled(): number {
    let count = 0;
    for (const { phase, mine } of this.#states) {
      if (phase !== (mine ? "serving" : "idle")) count++;
    }
    return count;
  }

  /** Takes a map; one that is older than a map before changes nothing. */
  learn(map: ShardMap): void {
    const { version: mapVersion } = map;
    if (mapVersion <= this.#mapVersion) return;
    this.#mapVersion = mapVersion;
    for (const [shard, owner] of map.shards.entries()) {
      const mine = owner !== undefined && isSameIncarnation(owner, this.#parts.self);
      this.#take(shard, { kind: "map", mapVersion, mine });
    }
  }

  /** Answers another process that `mapVersion` gives the shard to, once the shard is free. */
  release(shard: number, mapVersion: number): Promise<HandoffAnswer> {
    const { promise, resolve } = Promise.withResolvers<HandoffAnswer>();
    const waiting = this.#asking.get(shard) ?? [];
    waiting.push(resolve);
    this.#asking.set(shard, waiting);
    this.#take(shard, { kind: "asked", mapVersion });
    return promise;
  }

  /** A save under the present claim was refused: another process has the shard. */
  deposed(shard: number): void {
    const { claim = 0 } = this.#states[shard] ?? {};
    this.#take(shard, { kind: "fenced", claim });
  }

  /** Releases all shards; resolves when they are released, or `signal` is aborted. */
  async leave(signal: AbortSignal): Promise<void> {
    for (const shard of this.#states.keys()) {
      this.#take(shard, { kind: "leave" });
      if (shard % SLICE === SLICE - 1) await sleep(0);
    }
    while (this.#counts.get("idle") !== this.#states.length && !signal.aborted) {
      await this.changed.wait(1000, signal);
    }
  }

  /** Stops at once, whatever is under way: serves nothing from now on. */
  async close(): Promise<void> {
    this.#ends.abort();
    for (const shard of this.#asking.keys()) this.#answer(shard, "newer");
    await Promise.all(this.#work);
  }

  #take(shard: number, fact: HandoffFact): void {
    const before = this.#states[shard];
    if (before === undefined || this.#ends.signal.aborted) return;
    const { state, effects } = handoff(before, fact);
    this.#states[shard] = state;
    if (state.phase !== before.phase) {
      this.#counts.set(before.phase, this.#counts.get(before.phase)! - 1);
      this.#counts.set(state.phase, (this.#counts.get(state.phase) ?? 0) + 1);
    }
    for (const effect of effects) this.#begin(shard, effect);
    if (state.phase === before.phase) return;
    this.changed.notify();
    if (!state.mine) this.#parts.ability.ended(shard);
    if (state.phase === "serving" || !state.mine) {
      this.#coming.get(shard)?.notify();
      this.#coming.delete(shard);
    }
  }

  #begin(shard: number, effect: HandoffEffect): void {
    switch (effect.kind) {
      case "answer":
        return this.#answer(shard, effect.answer);
      case "stop":
        return this.#parts.forget(shard);
      case "serve":
        return;
      default: {
        const isRequest = ["read", "claim", "release"].includes(effect.kind);
        const done = isRequest
          ? this.#slots.run(() => this.#carryOut(shard, effect))
          : this.#carryOut(shard, effect);
        const work = done.then((fact) => {
          this.#work.delete(work);
          this.#take(shard, fact);
        });
        this.#work.add(work);
      }
    }
  }

  #answer(shard: number, answer: HandoffAnswer): void {
    const waiting = this.#asking.get(shard) ?? [];
    this.#asking.delete(shard);
    for (const resolve of waiting) resolve(answer);
  }

  /** Never rejects: a failure is a fact as well, after a wait if the server is out of reach. */
  async #carryOut(
    shard: number,
    effect: Exclude<HandoffEffect, { kind: "answer" | "stop" | "serve" }>,
  ): Promise<HandoffFact> {
    const { claims, ability, ask, isMember, forget, drained, drainTimeout } = this.#parts;
    const { signal } = this.#ends;
    switch (effect.kind) {
      case "read":
        try {
          return { kind: "read", fence: await unlessAborted(signal, claims.readFence(shard)) };
        } catch (error) {
          if (!signal.aborted) ability.failed(shard, error);
          await this.#pause();
          return { kind: "unread" };
        }
      case "ask": {
        const { holder, mapVersion } = effect;
        const { sequence } = holder;
        // A process that is no longer a member is not waited for.
        const answer = isMember(holder)
          ? await unlessAborted(signal, ask(holder, shard, mapVersion))
            .catch(() => "nothing" as const)
          : "nothing";
        return { kind: "answered", sequence, answer };
      }
      case "claim":
        try {
          const { sequence } = await claims.claim(shard, effect.mapVersion, signal);
          ability.ended(shard);
          return { kind: "claimed", sequence };
        } catch (error) {
          if (!signal.aborted) ability.failed(shard, error);
          await this.#pause();
          return { kind: isAetherError(error, "FencedError") ? "refused" : "unclaimed" };
        }
      case "replay":
        // Later reads of actors include the claim; nothing from before is kept.
        forget(shard);
        return { kind: "replayed", claim: effect.claim };
      case "drain": {
        const draining = drained(shard);
        if (draining === undefined) return { kind: "drained", claim: effect.claim };
        const late = new AbortController();
        const timer = setTimeout(() => late.abort(), drainTimeout);
        const over = AbortSignal.any([late.signal, signal]);
        await unlessAborted(over, draining).catch(() => {}); // A late save is fenced out.
        clearTimeout(timer);
        return { kind: "drained", claim: effect.claim };
      }
      case "release":
        try {
          await claims.release(shard, signal);
          forget(shard);
          return { kind: "released" };
        } catch (error) {
          if (!signal.aborted) ability.failed(shard, error);
          // Its stream is another one by now: the store writes nothing more, and has no claim there.
          const isLost = isAetherError(error, "StreamRegressedError");
          if (isLost) forget(shard);
          else await this.#pause();
          return { kind: isLost ? "released" : "unreleased" };
        }
    }
  }

  /** Waits a little, and for the connection. */
  async #pause(): Promise<void> {
    const { signal } = this.#ends;
    await sleep(25 + Math.random() * 75, signal);
    await this.#parts.requests.connected(1000, signal);
  }
}
