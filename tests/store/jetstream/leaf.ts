/**
 * Tests on a hub and a leaf node, each with a JetStream of its own, that share one account: what is
 * published beside one of them is heard beside the other.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { NatsServer } from "../../../tools/nats_server.ts";
import { play, Scene } from "../../support/fixture.ts";

/** The tools of a test on a hub and a leaf node. */
export interface LeafScene extends Scene {
  /** A connection to the hub. */
  readonly hub: NatsConnection;
  /** A connection to the leaf node. */
  readonly leaf: NatsConnection;
  /** Joins the two; not called yet at the beginning. */
  readonly link: () => Promise<void>;
}

/** A test on a hub and a leaf node of these domains, which are not joined to begin with. */
export function leafTest(
  name: string,
  run: (scene: LeafScene) => Promise<void>,
  domains: { readonly hub?: string; readonly leaf?: string } = { hub: "hub", leaf: "leaf" },
): void {
  Deno.test(name, async () => {
    await using hub = await NatsServer.start({
      ...(domains.hub !== undefined && { domain: domains.hub }),
      config: 'leafnodes { listen: "127.0.0.1:-1" }',
    });
    const [, port] = /Listening for leafnode connections on \S+:(\d+)/.exec(hub.log())!;
    await using gate = new Gate(Number(port));
    await using leaf = await NatsServer.start({
      ...(domains.leaf !== undefined && { domain: domains.leaf }),
      config:
        `leafnodes { reconnect: "100ms", remotes: [ { url: "nats://127.0.0.1:${gate.port}" } ] }`,
    });
    const scene = new Scene([hub, leaf]);
    const connections = {
      hub: await scene.connect({ servers: hub.url }),
      leaf: await scene.connect({ servers: leaf.url }),
    };
    const link = async () => {
      gate.open();
      while ((await hub.monitor<{ leafnodes: number }>("/leafz")).leafnodes === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      // Interest in subjects follows on the link within a moment, each way for itself.
      await heard(connections.hub, connections.leaf);
      await heard(connections.leaf, connections.hub);
    };
    await play(Object.assign(scene, connections, { link }), run, true);
  });
}

/** Resolves once what the second connection publishes reaches subscriptions of the first one. */
async function heard(at: NatsConnection, from: NatsConnection): Promise<void> {
  const subject = "aether-fixture.linked";
  const probe = at.subscribe(subject, { callback: (_, message) => void message.respond() });
  await at.flush();
  for (;;) {
    const answer = from.request(subject, "", { timeout: 500 });
    if (await answer.then(() => true, () => false)) break;
  }
  probe.unsubscribe();
  await at.flush();
}

/** Lets connections through to `port` once it is open. */
class Gate implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #work = new Set<Promise<unknown>>();
  readonly #open: Deno.Conn[] = [];
  #isOpen = false;

  constructor(target: number) {
    this.#target = target;
    this.#work.add(this.#serve());
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  open(): void {
    this.#isOpen = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    await Promise.allSettled(this.#work);
  }

  async #serve(): Promise<void> {
    for await (const from of this.#listener) {
      if (!this.#isOpen) {
        close(from);
        continue;
      }
      const to = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
      this.#open.push(from, to);
      this.#work.add(from.readable.pipeTo(to.writable).catch(() => {}));
      this.#work.add(to.readable.pipeTo(from.writable).catch(() => {}));
    }
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed by the other side.
  }
}
