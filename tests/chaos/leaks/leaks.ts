/**
 * Leaks: each part of the library is opened, used and closed again and again on one connection, and
 * all that this process and the server hold has to be back where it was: consumers, streams,
 * subscriptions and connections; listeners of the connection; timers; file handles; the part's own
 * objects, which nothing may refer to any more; and the heap, which must not grow with each round.
 *
 * @module
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsServer } from "../../../tools/nats_server.ts";
import { type Chaos, type Findings, pause, type Scenario } from "../scenario.ts";
import { type Part, PARTS } from "./parts.ts";
import { Timers } from "./timers.ts";

/** How often each part is opened and closed in the long form. */
const ROUNDS = 1_000;
/** Rounds before the heap is measured, which compile what they run and fill what is kept for good. */
const WARM_UP = 5;
/** How long closing may go on, in ms: shorter than the server keeps a consumer that nobody uses. */
const PATIENCE = 5_000;
/** Bytes by which the heap may grow with each round, and in all. */
const [BYTES, NOISE] = [2_048, 512 * 1024];
/** Objects of the last round that what just ran may still refer to. */
const LATEST = 1;

/** How many there are of each kind of thing. */
export type Holdings = ReadonlyMap<string, number>;

/** How a part is checked. */
export interface CheckOptions {
  /** How often it is opened and closed at most, after the warm-up. */
  readonly rounds: number;
  /** How long half of them may take, in ms. @default {Infinity} */
  readonly ms?: number;
  /** How long its closing may go on, in ms. @default {5_000} */
  readonly patience?: number;
}

/** A server, a connection to it, and a look at what is held. */
export class LeakBed implements AsyncDisposable {
  readonly chaos: Chaos;
  readonly connection: NatsConnection;
  readonly #server: NatsServer;
  readonly #timers: Timers;
  readonly #gc: () => void;
  readonly #signal = new AbortController().signal;

  private constructor(chaos: Chaos, server: NatsServer, timers: Timers, own: NatsConnection) {
    this.chaos = chaos;
    this.connection = own;
    this.#server = server;
    this.#timers = timers;
    setFlagsFromString("--expose-gc");
    this.#gc = runInNewContext("gc"); // Contexts that are older than the flag do not have it.
  }

  /** Starts the server. */
  static async open(chaos: Chaos): Promise<LeakBed> {
    const server = await NatsServer.start();
    const timers = new Timers(); // Before the connection sets its own.
    const connection = await connect({ servers: server.url });
    // Nobody answers; it makes nats.js subscribe to its inbox.
    await connection.request("leaks.nobody").catch(() => {});
    return new LeakBed(chaos, server, timers, connection);
  }

  /** Opens and closes `part` so often, in two halves; throws if it leaks. */
  async check(
    name: string,
    part: Part,
    { rounds, ms = Infinity, patience = PATIENCE }: CheckOptions,
  ): Promise<string> {
    const { connection, chaos } = this;
    const round = { connection, chaos, namespace: `leaks-${name}`, signal: this.#signal };
    const used: WeakRef<object>[] = [];
    const run = async (most: number, over = Infinity): Promise<number> => {
      for (let made = 0;; made++) {
        if (made === most || performance.now() > over) return made;
        for (const it of await part(round)) used.push(new WeakRef(it));
      }
    };
    const before = await this.held();
    await run(WARM_UP);
    const streams = [...await this.held()].filter(([kind]) => kind.startsWith("stream "));
    const heaps = [await this.heap()];
    const half = await run(Math.ceil(rounds / 2), performance.now() + ms);
    heaps.push(await this.heap());
    await run(half);
    const left = await this.left(new Map([...before, ...streams]), patience);
    heaps.push(await this.heap());
    const alive = used.flatMap((it) => it.deref()?.constructor.name ?? []);
    for (const [kind, of] of Map.groupBy(alive, (kind) => kind)) {
      if (of.length > LATEST) left.push(`${of.length} objects of ${kind}`);
    }
    const [first, second] = [heaps[1]! - heaps[0]!, heaps[2]! - heaps[1]!];
    // Memory that each round keeps makes both halves grow; memory that is taken once, only one.
    const growth = Math.min(first, second);
    if (growth > BYTES * half + NOISE) left.push(`${growth} bytes of ${half} rounds in the heap`);
    const grown = heaps.map((heap) => (heap / 1e6).toFixed(2)).join(" -> ");
    const found = `${2 * half} rounds, ${Math.round(second / half)} bytes a round`;
    chaos.log(`${name}: ${found}, heap ${grown} MB`);
    if (left.length > 0) {
      throw new Error(
        `The part "${name}" leaks: after ${WARM_UP + 2 * half} rounds there are left ` +
          left.join(", "),
      );
    }
    return found;
  }

  /** Closes the connection and ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
    this.#timers[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
  }

  /** The things that are there and were not, once there are none or the patience is over. */
  async left(before: Holdings, patience: number = PATIENCE): Promise<string[]> {
    for (const deadline = performance.now() + patience;; await pause(20)) {
      const more = [...await this.held()].map(([kind, count]) =>
        [kind, count - (before.get(kind) ?? 0)] as const
      ).filter(([, count]) => count > 0);
      if (more.length > 0 && performance.now() < deadline) continue;
      return more.map(([kind, count]) => {
        const delays = [...this.#timers.running.values()].slice(-3).join(", ");
        return `${count} × ${kind}${kind === "timer" ? ` (of ${delays} ms)` : ""}`;
      });
    }
  }

  /** All that this process and the server hold, by kind. */
  async held(): Promise<Holdings> {
    interface Connz {
      readonly connections: readonly { readonly subscriptions_list?: readonly string[] }[];
    }
    interface Named {
      readonly name: string;
    }
    interface Jsz {
      readonly account_details?: readonly {
        readonly stream_detail?: readonly (Named & { readonly consumer_detail?: Named[] })[];
      }[];
    }
    await this.connection.flush();
    const { connections } = await this.#server.monitor<Connz>("/connz?subs=true&limit=100000");
    const jsz = await this.#server.monitor<Jsz>("/jsz?accounts=true&streams=true&consumers=true");
    const streams = (jsz.account_details ?? []).flatMap((it) => it.stream_detail ?? []);
    const things = connections.flatMap(({ subscriptions_list = [] }) => [
      "connection",
      ...subscriptions_list.map((subject) => `subscription ${subject.replace(/\w{16,}/g, "…")}`),
    ]);
    for (const { name, consumer_detail = [] } of streams) {
      things.push(`stream ${name}`, ...consumer_detail.map(() => `consumer on ${name}`));
    }
    things.push(...await handles());
    const { listeners } = (this.connection as unknown as Internals).protocol;
    things.push(...listeners.map(() => "listener of the connection's status"));
    for (const _ of this.#timers.running) things.push("timer");
    return new Map(
      [...Map.groupBy(things, (it) => it)].map(([kind, { length }]) => [kind, length]),
    );
  }

  /** The bytes of the heap that are in use once what nobody refers to is gone. */
  async heap(): Promise<number> {
    // What ran last has let go of its objects a few turns later, and of the last ones by collecting.
    for (let turn = 0; turn < 4; turn++) await pause(turn);
    this.#gc();
    await pause(1);
    this.#gc();
    return Deno.memoryUsage().heapUsed;
  }
}

/** A part of the connection that nats.js does not show by its type. */
interface Internals {
  readonly protocol: { readonly listeners: readonly unknown[] };
}

/**
 * The open handles of this process, by kind; only Linux lists them. Sockets are left out, as each look
 * at the server may leave one to the next look: the server counts our connections.
 */
async function handles(): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc/self/fd")) {
    const target = await Deno.readLink(`/proc/self/fd/${name}`).catch(() => undefined);
    if (target === undefined || target.startsWith("socket:")) continue;
    found.push(`file handle of ${target.replace(/\d+/g, "…")}`);
  }
  return found;
}

/** See the module. */
export const leaks: Scenario = {
  description:
    `parts of the library are opened, used and closed ${ROUNDS} times each: nothing of ` +
    "them is left on the server or in this process",
  minutes: 10,
  async run(chaos): Promise<Findings> {
    await using bed = await LeakBed.open(chaos);
    const over = performance.now() + chaos.duration;
    const parts = Object.entries(PARTS);
    const findings: Record<string, string> = {};
    for (const [at, [name, part]] of parts.entries()) {
      // Each has its share of what the ones before it have left.
      const ms = (over - performance.now()) / (parts.length - at) / 2;
      findings[name] = await bed.check(name, part, { rounds: ROUNDS, ms });
    }
    return findings;
  },
};
