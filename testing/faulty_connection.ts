import { asGiven, needMethods, needObject, needOptionalFunctions } from "../store/base/given.ts";
import type { Connection } from "../store/connection.ts";

/** Options for {@linkcode faultyConnection}; a probability is from 0 to 1. */
export interface FaultyConnectionOptions {
  /** Decides everything: the same seed and the same messages in the same order, the same faults. */
  readonly seed: number;
  /** How likely the answer to a message is lost, though the message arrives. @default {0} */
  readonly loseAck?: number;
  /** How likely a message is not sent. @default {0} */
  readonly drop?: number;
  /** How likely a message is sent twice. @default {0} */
  readonly double?: number;
  /** How likely a message is held, and all behind it: a connection keeps the order. @default {0} */
  readonly delay?: number;
  /** The longest time that a message is held, in ms. @default {20} */
  readonly maxDelay?: number;
  /** How likely the connection breaks instead of sending, and held messages are lost. @default {0} */
  readonly cut?: number;
  /** Which messages it may do something to, by their subjects. @default {all} */
  readonly only?: (subject: string) => boolean;
}

/** Something that a {@linkcode FaultyConnection} has done. */
export interface ConnectionFault {
  /** Its kind. */
  readonly kind: "lose ack" | "drop" | "double" | "delay" | "cut";
  /** Which message it was done to: the messages are counted from 1. */
  readonly message: number;
  /** The message's subject. */
  readonly subject: string;
}

/** A connection that does harm; see {@linkcode faultyConnection}. */
export type FaultyConnection = Connection & {
  /** The faults so far, in order. */
  readonly faults: readonly ConnectionFault[];
  /** Does no more harm from now on; held messages are sent at once. */
  readonly calm: () => void;
};

/** The probabilities, in the order in which they are drawn. */
const KINDS = [
  ["cut", "cut"],
  ["drop", "drop"],
  ["lose ack", "loseAck"],
  ["double", "double"],
  ["delay", "delay"],
] as const;

/**
 * Wraps a connection to NATS so that it loses acknowledgements, delays, doubles and drops messages,
 * and breaks, by a seed: for tests of what your program does then. Pass it wherever a connection is
 * taken. Closing it closes the connection and lets nothing go afterwards.
 *
 * @throws {RangeError} A probability is not from 0 to 1, or another option is impossible.
 *
 * @example No event is lost or stored twice, though half of the acknowledgements are lost
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { createEvent, JetStreamEventStore } from "@flowmade-one/aether";
 * import { faultyConnection } from "@flowmade-one/aether/testing";
 *
 * const connection = faultyConnection(
 *   await connect({ servers: "localhost:4222", maxReconnectAttempts: -1 }),
 *   { seed: 7, loseAck: 0.5, double: 0.2, only: (subject) => subject.includes(".event.") },
 * );
 * const namespace = `faulty-${crypto.randomUUID()}`;
 * const store = await JetStreamEventStore.open(connection, { namespace, timeout: 1_000 });
 * const order = { eventType: "OrderPlaced", actorId: "order-1", data: null };
 * for (const version of [1, 2, 3]) await store.saveEvent(createEvent({ ...order, version }));
 * console.log((await store.getEvents("order-1")).length, connection.faults.length > 0); // 3 true
 * await store[Symbol.asyncDispose]();
 * await connection.close();
 * ```
 */
export function faultyConnection(
  connection: Connection,
  options: FaultyConnectionOptions,
): FaultyConnection {
  const what = "make a faulty connection";
  needMethods(connection, ["publish", "request"], what, "connection", "a connection to NATS");
  needObject(options, what, "options");
  needOptionalFunctions(options, ["only"], what);
  check(options);
  const harm = new Harm(connection, asGiven(options));
  const own: Record<PropertyKey, unknown> = {
    faults: harm.faults,
    calm: () => harm.calm(),
    publish: harm.publish,
    request: harm.request,
    subscribe: harm.subscribe,
    flush: async () => {
      await harm.sent();
      await connection.flush();
    },
    drain: async () => {
      harm.calm();
      await connection.drain();
    },
    close: async () => {
      harm.end();
      await connection.close();
    },
  };
  return new Proxy(connection, {
    get(target, name): unknown {
      if (Object.hasOwn(own, name)) return own[name];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    has: (target, name) => Object.hasOwn(own, name) || Reflect.has(target, name),
  }) as FaultyConnection;
}

type Publish = Parameters<Connection["publish"]>;

/** A message on its way. */
interface HeldMessage {
  readonly send: () => void;
  /** Called in place of `send` if it is lost. */
  readonly lose?: () => void;
}

/** The fate of a message, and how long it is held if it is. */
interface Fate {
  readonly kind: ConnectionFault["kind"] | undefined;
  readonly delay: number;
}

/** Does the harm, and keeps what is held. */
class Harm {
  readonly faults: ConnectionFault[] = [];
  readonly #connection: Connection;
  readonly #options: FaultyConnectionOptions;
  readonly #random: () => number;
  /** Reply subjects whose answers are lost. */
  readonly #lost = new Set<string>();
  /** The held messages, in order. */
  #held: HeldMessage[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: (() => void)[] = [];
  #messages = 0;
  #isCalm = false;
  /** Resolves when the connection is closed. */
  readonly #ended = Promise.withResolvers<void>();

  constructor(connection: Connection, options: FaultyConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  calm(): void {
    this.#isCalm = true;
    this.#release();
  }

  /** Loses what is held. */
  end(): void {
    this.#isCalm = true;
    this.#lose();
    this.#ended.resolve();
  }

  /** Resolves when nothing is held any more. */
  async sent(): Promise<void> {
    if (this.#timer === undefined) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  readonly publish = (...args: Publish): void => {
    const [subject, , options] = args;
    const send = () => this.#connection.publish(...args);
    // A fault of the connection itself is thrown at once.
    if (this.#connection.isClosed()) return send();
    const fate = this.#draw(subject);
    if (fate.kind === "drop" || fate.kind === "cut") return;
    if (fate.kind === "lose ack" && options?.reply) this.#lost.add(options.reply);
    this.#send(fate, { send });
    if (fate.kind === "double") this.#send(fate, { send });
  };

  readonly request: Connection["request"] = async (subject, payload, options) => {
    const fate = this.#draw(subject);
    const { timeout } = { timeout: 1_000, ...options };
    if (fate.kind === "drop" || fate.kind === "cut") return await this.#silence(timeout, subject);
    const { promise: isSent, resolve } = Promise.withResolvers<boolean>();
    this.#send(fate, { send: () => resolve(true), lose: () => resolve(false) });
    if (!await isSent) return await this.#silence(timeout, subject);
    const { headers } = { headers: undefined, ...options };
    if (fate.kind === "double") {
      this.#connection.publish(subject, payload, headers && { headers });
    }
    const answer = await this.#connection.request(subject, payload, options);
    return fate.kind === "lose ack" ? await this.#silence(timeout, subject) : answer;
  };

  readonly subscribe: Connection["subscribe"] = (subject, options) => {
    const { callback } = options ?? {};
    if (callback === undefined) return this.#filtered(this.#connection.subscribe(subject, options));
    return this.#connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error || !this.#lost.has(message.subject)) callback(error, message);
      },
    });
  };

  /** A subscription that is iterated, without the answers that are lost. */
  #filtered(
    subscription: ReturnType<Connection["subscribe"]>,
  ): ReturnType<Connection["subscribe"]> {
    const lost = this.#lost;
    async function* iterate() {
      for await (const message of subscription) if (!lost.has(message.subject)) yield message;
    }
    return new Proxy(subscription, {
      get(target, name): unknown {
        if (name === Symbol.asyncIterator) return iterate;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Draws what becomes of the next message; each takes the same number of draws. */
  #draw(subject: string): Fate {
    const message = ++this.#messages;
    const { only = () => true, maxDelay = 20 } = this.#options;
    const draws = KINDS.map(([kind, option]) =>
      this.#random() < (this.#options[option] ?? 0) ? kind : undefined
    );
    const delay = this.#random() * maxDelay;
    const kind = draws.find((kind) => kind !== undefined);
    if (kind === undefined || this.#isCalm || !only(subject)) return { kind: undefined, delay: 0 };
    this.faults.push({ kind, message, subject });
    if (kind === "cut") this.#cut();
    return { kind, delay };
  }

  #cut(): void {
    this.#lose();
    // It is closed, or breaks by itself at the moment: that is a cut as well.
    this.#connection.reconnect().catch(() => {});
  }

  /** Sends now, or behind what is held. */
  #send({ kind, delay }: Fate, message: HeldMessage): void {
    if (kind !== "delay" && this.#timer === undefined) return message.send();
    this.#held.push(message);
    this.#timer ??= setTimeout(() => this.#release(), delay);
  }

  #release(): void {
    for (const { send } of this.#empty()) {
      try {
        send();
      } catch {
        // The connection was closed meanwhile, so the message is lost with it.
      }
    }
    this.#notify();
  }

  #lose(): void {
    for (const { lose } of this.#empty()) lose?.();
    this.#notify();
  }

  #empty(): readonly HeldMessage[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#held.splice(0);
  }

  #notify(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** A request that nobody answers. */
  async #silence(timeout: number, subject: string): Promise<never> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, timeout));
    await Promise.race([late, this.#ended.promise]);
    clearTimeout(timer);
    const error = new Error(`Request on "${subject}" has no answer: timeout`);
    error.name = "TimeoutError";
    throw error;
  }
}

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function check(options: FaultyConnectionOptions): void {
  for (const [, name] of KINDS) {
    const value = options[name] ?? 0;
    if (!(value >= 0 && value <= 1)) {
      throw new RangeError(`Cannot make faults: ${name} is ${value}, not from 0 to 1`);
    }
  }
  const { seed, maxDelay = 0 } = options;
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`Cannot make faults: seed is ${seed}, not a safe integer`);
  }
  if (!(maxDelay >= 0 && maxDelay < 2 ** 31)) {
    throw new RangeError(`Cannot make faults: maxDelay is ${maxDelay}, not from 0 to 2^31 - 1`);
  }
}
