/**
 * Does harm to all parts of a storm, by its seed: processes, NATS servers, the lines between them,
 * acknowledgements, and the stream's quota.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import type { NatsServer } from "../../../tools/nats_server.ts";
import { api } from "../../support/jetstream_api.ts";
import { publishAck } from "../../support/nats_frames.ts";
import type { Judge, Proxy } from "../../support/proxy.ts";
import type { Crew, CrewNote } from "../crew.ts";
import { type Chaos, pause } from "../scenario.ts";

/** The servers of a storm. */
export interface Servers {
  readonly servers: readonly NatsServer[];
  /** Resolves when those that are up agree. */
  waitHealthy(): Promise<void>;
}

/** The things that can be harmed. */
export interface NemesisParts<Options extends object> {
  readonly chaos: Chaos;
  readonly crew: Crew<Options, CrewNote>;
  readonly workers: readonly string[];
  readonly nats: Servers;
  /** By process, its lines to the servers. */
  readonly lines: ReadonlyMap<string, readonly Proxy[]>;
  /** A connection that is not harmed but by the servers' faults. */
  readonly admin: NatsConnection;
  readonly stream: string;
  /** How long leaders lead without a word, in ms. */
  readonly lease: number;
}

/** A kind of harm. */
interface Fault {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  /** What it is done to, one of these; each is harmed by one fault at a time. */
  readonly victims: readonly string[];
  /** Does it, and makes it good. */
  readonly strike: (victim: string) => Promise<void>;
}

/** Does harm for as long as the chaos lasts. */
export class Nemesis<Options extends object> {
  /** How often what was done. */
  readonly counts: Record<string, number> = {};
  readonly #parts: NemesisParts<Options>;
  /** What is harmed at the moment, and will be good again by itself. */
  readonly #healing = new Map<string, Promise<void>>();
  #failure: unknown;

  /** Does nothing yet. */
  constructor(parts: NemesisParts<Options>) {
    this.#parts = parts;
  }

  /** Does every kind of harm once, then any; makes all good in the end. */
  async run(): Promise<void> {
    const { chaos } = this.#parts;
    const faults = this.#faults();
    const first = faults.map((fault) => ({ fault, at: chaos.random() }))
      .sort((one, other) => one.at - other.at).map(({ fault }) => fault);
    const weights = faults.reduce((sum, { weight }) => sum + weight, 0);
    const any = (): Fault => {
      let share = chaos.random() * weights;
      return faults.find(({ weight }) => (share -= weight) < 0) ?? faults[0]!;
    };
    const end = performance.now() + chaos.duration;
    while ((performance.now() < end || first.length > 0) && this.#failure === undefined) {
      const next = first.findIndex((fault) => this.#strike(fault));
      if (next >= 0) first.splice(next, 1);
      else if (performance.now() < end) this.#strike(any());
      await pause(chaos.between(100, 1_200));
    }
    await Promise.all(this.#healing.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** False where all that it could be done to is harmed already. */
  #strike({ name, victims, strike }: Fault): boolean {
    const { chaos, workers } = this.#parts;
    const free = victims.filter((victim) => !this.#healing.has(victim));
    const hurt = workers.filter((worker) => this.#healing.has(worker)).length;
    const isTooMuch = workers.includes(victims[0]!) && hurt >= workers.length - 1;
    if (free.length === 0 || isTooMuch) return false;
    const victim = chaos.pick(free);
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    chaos.log(`${name}: ${victim}`);
    const healing = strike(victim)
      .catch((error) => this.#failure ??= error)
      .finally(() => this.#healing.delete(victim))
      .then(() => {});
    this.#healing.set(victim, healing);
    return true;
  }

  #faults(): Fault[] {
    return [...this.#toWorkers(), ...this.#toServers(), ...this.#toLines(), ...this.#toStream()];
  }

  #toWorkers(): Fault[] {
    const { crew, chaos, workers: victims, lease } = this.#parts;
    return [
      {
        ...{ name: "process killed", weight: 3, victims },
        strike: async (worker) => {
          await crew.kill(worker);
          await pause(chaos.between(0, 1_500));
          crew.start(worker);
          await crew.of(worker, "ready");
        },
      },
      {
        ...{ name: "process frozen", weight: 2, victims },
        strike: async (worker) => {
          await crew.stop(worker);
          await pause(chaos.between(50, 1_000));
          crew.resume(worker);
        },
      },
      {
        ...{ name: "process frozen beyond its lease", weight: 2, victims },
        strike: async (worker) => {
          await crew.stop(worker);
          await pause(lease * chaos.between(1.1, 2));
          crew.resume(worker);
        },
      },
    ];
  }

  #toServers(): Fault[] {
    const { chaos, nats } = this.#parts;
    const victims = ["servers"]; // One at a time, as otherwise hardly anything could be saved.
    const recover = async () => {
      await nats.waitHealthy();
      await pause(chaos.between(500, 4_000)); // A while in which much can be saved.
    };
    const harm = (harm: (server: NatsServer) => Promise<void>) => async () => {
      await harm(chaos.pick(nats.servers));
      await recover();
    };
    return [
      {
        ...{ name: "server killed", weight: 3, victims },
        strike: harm(async (server) => {
          await server.kill();
          await pause(chaos.between(0, 3_000));
          await server.restart();
        }),
      },
      {
        ...{ name: "server frozen", weight: 3, victims },
        strike: harm(async (server) => {
          await server.pause();
          await pause(chaos.between(100, 6_000));
          server.resume();
        }),
      },
      {
        ...{ name: "server restarted", weight: 1, victims },
        strike: harm((server) => server.restart()),
      },
      {
        ...{ name: "all servers killed", weight: 1, victims },
        strike: async () => {
          await Promise.all(nats.servers.map((server) => server.kill()));
          await Promise.all(nats.servers.map((server) => server.restart()));
          await recover();
        },
      },
    ];
  }

  #toLines(): Fault[] {
    const { chaos, lines, workers } = this.#parts;
    const victims = workers.map((worker) => `lines of ${worker}`);
    const linesOf = (victim: string) => lines.get(victim.slice("lines of ".length))!;
    const some = (victim: string) => {
      const all = linesOf(victim);
      return chaos.random() < 0.5 ? all : [chaos.pick(all)];
    };
    const judged = (judge: Judge) => async (victim: string) => {
      for (const line of linesOf(victim)) line.onServerFrame = judge;
      await pause(chaos.between(500, 2_000));
      for (const line of linesOf(victim)) line.onServerFrame = () => "pass";
    };
    return [
      {
        ...{ name: "line silent", weight: 2, victims },
        strike: async (victim) => {
          const silent = some(victim);
          for (const line of silent) line.pause();
          await pause(chaos.between(200, 5_000));
          for (const line of silent) line.resume();
        },
      },
      {
        ...{ name: "line cut off", weight: 2, victims },
        strike: async (victim) => {
          const cut = some(victim);
          for (const line of cut) {
            line.refusing = true;
            line.cut();
          }
          await pause(chaos.between(200, 5_000));
          for (const line of cut) line.refusing = false;
        },
      },
      {
        ...{ name: "sockets cut", weight: 3, victims },
        strike: (victim) => {
          for (const line of linesOf(victim)) line.cutAtMessage();
          return Promise.resolve();
        },
      },
      {
        ...{ name: "acks eaten", weight: 3, victims },
        strike: async (victim) => {
          const meals = linesOf(victim).map((line) =>
            line.eatAcks(1 + Math.floor(chaos.between(0, 6)))
          );
          await pause(chaos.between(500, 2_000));
          for (const meal of meals) meal.stop();
        },
      },
      {
        ...{ name: "acks late", weight: 2, victims },
        strike: judged((frame) => {
          if (publishAck(frame) === undefined) return "pass";
          return pause(chaos.between(10, 200)).then(() => "pass");
        }),
      },
      {
        ...{ name: "acks doubled", weight: 2, victims },
        strike: judged((frame) => publishAck(frame) === undefined ? "pass" : "double"),
      },
    ];
  }

  #toStream(): Fault[] {
    const { chaos, admin, stream } = this.#parts;
    return [
      {
        // A server that is killed meanwhile may forget the stream: see ../server/update_kill.ts.
        ...{ name: "stream full", weight: 1, victims: ["servers"] },
        strike: async () => {
          const { config, state } = await persist(() =>
            api<{ config: object; state: { bytes: number } }>(admin, `STREAM.INFO.${stream}`)
          );
          // What is saved fills it. A limit below that tears batches: see ../server/quota_tear.ts.
          const full = { ...config, max_bytes: state.bytes + 20_000 };
          await api(admin, `STREAM.UPDATE.${stream}`, full).catch(() => {});
          await pause(chaos.between(1_000, 4_000));
          await persist(() => api(admin, `STREAM.UPDATE.${stream}`, { ...config, max_bytes: -1 }));
        },
      },
      {
        ...{ name: "mirror added", weight: 1, victims: ["mirror"] },
        strike: async () => {
          const name = "MIRROR";
          const mirror = { name, mirror: { name: stream }, storage: "file", num_replicas: 1 };
          await api(admin, `STREAM.CREATE.${name}`, mirror).catch(() => {});
          await pause(chaos.between(500, 4_000));
          await persist(async () => {
            await api(admin, `STREAM.DELETE.${name}`).catch((error) => {
              if (!String(error).includes("not found")) throw error;
            });
          });
        },
      },
    ];
  }
}

/** Does something to the servers as often as it takes: they may be down at the moment. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 60_000;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
      await pause(200);
    }
  }
}
