/**
 * Passes bytes on to a server, and cuts connections when a test wants it.
 *
 * @module
 */

/** A proxy in front of a port of this machine. */
export class TcpProxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;
  readonly #passing = new Set<Promise<void>>();
  #lost: RegExp | undefined;
  /** How many answers were lost. */
  lostAnswers = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#accepting = this.#accept();
  }

  /** Starts one. */
  static start(target: number): TcpProxy {
    return new TcpProxy(target);
  }

  /** Its port. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const conn of this.#open) close(conn);
    this.#open.clear();
  }

  /** Passes the next request on that matches, and cuts its connection when the answer comes. */
  loseAnswerTo(request: RegExp): void {
    this.#lost = request;
  }

  /** Cuts all, and takes no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
    await Promise.all(this.#passing);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const passing = this.#pass(client).finally(() => this.#passing.delete(passing));
      this.#passing.add(passing);
    }
  }

  async #pass(client: Deno.Conn): Promise<void> {
    let server: Deno.Conn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    } catch {
      return close(client);
    }
    this.#open.add(client).add(server);
    let isLost = false;
    await Promise.all([
      copy(client, server, (bytes) => {
        if (this.#lost?.test(new TextDecoder("latin1").decode(bytes))) {
          this.#lost = undefined;
          isLost = true;
        }
        return true;
      }),
      copy(server, client, () => {
        if (isLost) this.lostAnswers++;
        return !isLost;
      }),
    ]);
    this.#open.delete(client);
    this.#open.delete(server);
  }
}

/** Copies bytes for as long as `pass` allows; closes both ends. */
async function copy(
  from: Deno.Conn,
  to: Deno.Conn,
  pass: (bytes: Uint8Array) => boolean,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (;;) {
      const count = await from.read(buffer);
      if (count === null || !pass(buffer.subarray(0, count))) break;
      for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
    }
  } catch {
    // One end is gone.
  }
  close(from);
  close(to);
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It is closed.
  }
}
