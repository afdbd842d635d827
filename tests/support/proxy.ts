/**
 * Stands between a client and a nats-server, and loses, delays or cuts what a test wants lost.
 *
 * @module
 */

import { type Frame, FrameParser, type PublishAck, publishAck } from "./nats_frames.ts";

/** The fate of a frame: it goes on, is lost, or goes on twice. */
export type Verdict = "pass" | "drop" | "double";

/** Decides about a frame; a promise holds it, and all behind it in its direction, until it settles. */
export type Judge = (frame: Frame) => Verdict | Promise<Verdict>;

/** Frames that a proxy eats. */
export interface Meal {
  /** The frames eaten so far. */
  readonly eaten: readonly Frame[];
  /** Resolves when as many were eaten as were asked for; never, where that is all of them. */
  readonly done: Promise<void>;
  /** Lets everything pass from now on. */
  stop(): void;
}

interface Link {
  readonly closed: Promise<void>;
  close(): void;
}

/** A TCP proxy in front of one nats-server that sees whole frames of the NATS protocol. */
export class Proxy implements AsyncDisposable {
  /** Judges what the server sends, after what is to be eaten. @default {passes all} */
  onServerFrame: Judge = () => "pass";
  /** Judges what clients send, after what is to be eaten. @default {passes all} */
  onClientFrame: Judge = () => "pass";
  /** While true, new connections are closed at once. @default {false} */
  refusing = false;
  /** Frames lost so far, in each direction. */
  readonly dropped: { server: number; client: number } = { server: 0, client: 0 };
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #links = new Set<Link>();
  readonly #pumps = new Set<Promise<void>>();
  readonly #serverMeals = new Set<Judge>();
  readonly #clientMeals = new Set<Judge>();
  readonly #accepting: Promise<void>;
  readonly #failures: unknown[] = [];
  #gate: PromiseWithResolvers<void> | undefined;
  #closed = false;

  private constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accepting = this.#accept();
  }

  /** A proxy to the server at `targetPort` of 127.0.0.1; the server may be down and come back. */
  static start(targetPort: number): Proxy {
    return new Proxy(targetPort);
  }

  /** The address for clients. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** The port for clients. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** How many client connections are open. */
  get connections(): number {
    return this.#links.size;
  }

  /** Eats the next `count` frames from the server that acknowledge a stored publish. */
  eatAcks(count = 1): Meal {
    return this.eatAcksWhere(() => true, count);
  }

  /** Eats acks that `matches` picks, up to `count` of them. */
  eatAcksWhere(matches: (ack: PublishAck, frame: Frame) => boolean, count = Infinity): Meal {
    return this.eatFromServer((frame) => {
      const ack = publishAck(frame);
      return ack !== undefined && matches(ack, frame);
    }, count);
  }

  /** Eats frames from the server that `matches` picks, up to `count` of them. */
  eatFromServer(matches: (frame: Frame) => boolean, count = Infinity): Meal {
    return serve(this.#serverMeals, matches, count);
  }

  /** Eats frames from clients that `matches` picks, up to `count` of them. */
  eatFromClient(matches: (frame: Frame) => boolean, count = Infinity): Meal {
    return serve(this.#clientMeals, matches, count);
  }

  /**
   * Loses each message (no other frame) with probability `rate`, by `random` as from {@linkcode seededRandom}.
   * Requests, acks and deliveries are lost alike; `direction` restricts it to one sender's.
   */
  dropRandomly(
    rate: number,
    random: () => number,
    direction: "server" | "client" | "both" = "both",
  ): Meal {
    const matches = (frame: Frame): boolean => /^H?(PUB|MSG)$/.test(frame.verb) && random() < rate;
    if (direction === "server") return this.eatFromServer(matches);
    if (direction === "client") return this.eatFromClient(matches);
    const server = this.eatFromServer(matches);
    const client = this.eatFromClient(matches);
    return {
      get eaten(): Frame[] {
        return [...server.eaten, ...client.eaten];
      },
      done: server.done,
      stop(): void {
        server.stop();
        client.stop();
      },
    };
  }

  /** Closes all connections at once; clients can connect again, unless `refusing`. */
  cut(): void {
    for (const link of this.#links) link.close();
  }

  /** Closes all connections at the server's next message, which is lost with them. */
  cutAtMessage(): void {
    this.eatFromServer(({ verb }) => {
      if (!verb.endsWith("MSG")) return false;
      this.cut();
      return true;
    }, 1);
  }

  /** Stops forwarding; connections stay open, new ones too, and their bytes wait. */
  pause(): void {
    this.#gate ??= Promise.withResolvers<void>();
  }

  /** Forwards again, beginning with what has waited. */
  resume(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** Closes the listener and all connections; rejects with what a judge has thrown, if any did. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#listener.close();
    }
    this.cut();
    await this.#accepting;
    await Promise.all(this.#pumps);
    if (this.#failures.length > 0) throw this.#failures.shift();
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      let client: Deno.TcpConn;
      try {
        client = await this.#listener.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      if (this.refusing || this.#closed) {
        client.close();
        continue;
      }
      const work = this.#serve(client).catch((error) => void this.#failures.push(error))
        .finally(() => this.#pumps.delete(work));
      this.#pumps.add(work);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const open: Deno.TcpConn[] = [client];
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const link: Link = {
      closed,
      close: () => {
        this.#links.delete(link);
        for (const side of open.splice(0)) side.close();
        resolve();
      },
    };
    this.#links.add(link);
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    } catch {
      link.close(); // the server is down: so is this connection
      return;
    }
    if (!this.#links.has(link)) return server.close();
    open.push(server);
    client.setNoDelay(true);
    server.setNoDelay(true);
    await Promise.all([
      this.#pump(client, server, link, "client"),
      this.#pump(server, client, link, "server"),
    ]);
  }

  async #pump(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    link: Link,
    direction: "server" | "client",
  ): Promise<void> {
    const parser = new FrameParser();
    const live = (): boolean => this.#links.has(link);
    try {
      while (live()) {
        const chunk = new Uint8Array(65_536);
        const size = await from.read(chunk);
        if (size === null) return;
        for (const frame of parser.push(chunk.subarray(0, size))) {
          let verdict = this.#judge(frame, direction);
          if (typeof verdict !== "string") {
            verdict = await Promise.race([verdict, link.closed.then((): Verdict => "drop")]);
          }
          while (this.#gate && live()) await Promise.race([this.#gate.promise, link.closed]);
          if (!live()) return;
          if (verdict === "drop") this.dropped[direction]++;
          else await write(to, frame.verb === "INFO" ? withoutUrls(frame) : frame.raw);
          if (verdict === "double") await write(to, frame.raw);
        }
      }
    } catch (error) {
      // One side closed or reset its connection: the other is closed as well.
      if (live() && !isDisconnect(error)) throw error;
    } finally {
      link.close();
    }
  }

  #judge(frame: Frame, direction: "server" | "client"): Verdict | Promise<Verdict> {
    const fromServer = direction === "server";
    for (const meal of fromServer ? this.#serverMeals : this.#clientMeals) {
      if (meal(frame) === "drop") return "drop";
    }
    return fromServer ? this.onServerFrame(frame) : this.onClientFrame(frame);
  }
}

/** A source of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function serve(meals: Set<Judge>, matches: (frame: Frame) => boolean, count: number): Meal {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const eaten: Frame[] = [];
  const judge = (frame: Frame): Verdict => {
    if (!matches(frame)) return "pass";
    eaten.push(frame);
    if (eaten.length >= count) {
      meals.delete(judge);
      resolve();
    }
    return "drop";
  };
  if (count > 0) meals.add(judge);
  else resolve();
  return { eaten, done, stop: () => void meals.delete(judge) };
}

/** An INFO without the addresses of other servers, lest clients go round the proxy. */
function withoutUrls(frame: Frame): Uint8Array {
  const { connect_urls: _tcp, ws_connect_urls: _ws, ...info } = JSON.parse(frame.line);
  return new TextEncoder().encode(`INFO ${JSON.stringify(info)}\r\n`);
}

async function write(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

function isDisconnect(error: unknown): boolean {
  const { BadResource, BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted } = Deno.errors;
  return [BadResource, BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted]
    .some((kind) => error instanceof kind);
}
