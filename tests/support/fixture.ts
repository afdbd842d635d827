/**
 * Tests on real nats-servers: a server or a cluster of its own for each test, and a check that the test
 * leaves no subscription, consumer or connection behind.
 *
 * @module
 */

import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { connect } from "@nats-io/transport-node";
import { NatsCluster, type NatsClusterOptions } from "../../tools/nats_cluster.ts";
import { NatsServer, type NatsServerOptions } from "../../tools/nats_server.ts";
import { Proxy } from "./proxy.ts";
import { type Skip, unlessSkipped } from "./skip.ts";

/** Options for {@linkcode natsTest} and {@linkcode clusterTest}. */
export interface TestOptions<Server = NatsServerOptions> {
  /** How to start the server, or each of the cluster's. */
  readonly server?: Server;
  /** Leaves the test out, for this reason. @default {false} */
  readonly skip?: Skip;
  /** Whether what the test leaves behind fails it. @default {true} */
  readonly leakCheck?: boolean;
}

/** The tools of a test; all are closed after it. */
export class Scene {
  /** A namespace of the test's own. */
  readonly namespace: string = uniqueNamespace();
  /** The servers, in a cluster all of them. */
  readonly servers: readonly NatsServer[];
  readonly #stack = new AsyncDisposableStack();
  readonly #connections: { connection: NatsConnection; before: readonly string[] }[] = [];
  readonly #kept = new Set<string>();

  /** A scene on `servers`. Tests get theirs from {@linkcode natsTest} and {@linkcode clusterTest}. */
  constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** The server, in a cluster the first one. */
  get server(): NatsServer {
    return this.servers[0]!;
  }

  /**
   * A connection to the servers, or to those that `options` name, that never gives up reconnecting.
   * The inbox subscription that nats.js keeps for requests is there from the start.
   * Do not try a login that the server refuses: Deno then reports an error of the socket's that nobody can catch.
   */
  async connect(options: NodeConnectionOptions = {}): Promise<NatsConnection> {
    const connection = await connect({
      servers: this.servers.map((server) => server.url),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 0,
      timeout: 5_000,
      ...options,
    });
    this.#stack.defer(() => connection.close());
    // Nobody answers, which is the answer; it makes nats.js subscribe to its inbox.
    await connection.request("aether-fixture.nobody", "", { timeout: 5_000 }).catch(() => {});
    await connection.flush();
    const connz = find(connection, await openConnections(this.#answering()));
    this.#connections.push({ connection, before: connz?.subscriptions_list ?? [] });
    return connection;
  }

  /** A proxy in front of `server`; connect through it by `connect({ servers: proxy.url })`. */
  proxy(server: NatsServer = this.server): Proxy {
    return this.#stack.use(Proxy.start(server.port));
  }

  /** Hands over what has to be closed after the test; the last one goes first. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** Declares consumers that are meant to outlive their user, such as a projection's. */
  keepConsumers(...names: string[]): void {
    for (const name of names) this.#kept.add(name);
  }

  /**
   * Resolves when nothing is left behind; rejects with what is still there after `patience` ms.
   * Connections are compared as they were when opened; servers that are down are not asked.
   */
  async assertNoLeaks(patience = 2_000): Promise<void> {
    const deadline = performance.now() + patience;
    for (;;) {
      const leaks = await this.#leaks();
      if (leaks.length === 0) return;
      if (performance.now() > deadline) throw new Error(`Test leaks: ${leaks.join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Closes all that the test had opened. */
  async close(): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #answering(): NatsServer[] {
    return this.servers.filter((server) => server.running && !server.paused);
  }

  async #leaks(): Promise<string[]> {
    const leaks: string[] = [];
    const servers = this.#answering();
    if (servers.length === 0) return leaks;
    const open = await openConnections(servers);
    const own = new Set<Connz>();
    for (const { connection, before } of this.#connections) {
      if (connection.isClosed()) continue;
      const connz = find(connection, open);
      if (connz === undefined) {
        leaks.push("a connection that is neither closed nor connected");
        continue;
      }
      own.add(connz);
      const left = [...before];
      for (const subject of connz.subscriptions_list ?? []) {
        const at = left.indexOf(subject);
        if (at === -1) leaks.push(`subscription "${subject}"`);
        else left.splice(at, 1);
      }
    }
    for (const connz of open) {
      if (!own.has(connz)) leaks.push(`connection ${connz.cid} "${connz.name ?? ""}"`);
    }
    for (const consumer of await consumers(servers)) {
      if (!this.#kept.has(consumer.name)) {
        leaks.push(`consumer "${consumer.name}" on stream "${consumer.stream}"`);
      }
    }
    return leaks;
  }
}

/** A test with a nats-server of its own. */
export function natsTest(
  name: string,
  run: (scene: Scene) => void | Promise<void>,
  { server, skip = false, leakCheck = true }: TestOptions = {},
): void {
  const fn = async (): Promise<void> => {
    await using own = await NatsServer.start(server);
    await play(new Scene([own]), run, leakCheck);
  };
  Deno.test({ ...unlessSkipped(name, skip), fn });
}

/** The tools of a test that has a cluster. */
export type ClusterScene = Scene & { readonly cluster: NatsCluster };

/** A test with a cluster of three nats-servers of its own. */
export function clusterTest(
  name: string,
  run: (scene: ClusterScene) => void | Promise<void>,
  { server, skip = false, leakCheck = true }: TestOptions<NatsClusterOptions> = {},
): void {
  const fn = async (): Promise<void> => {
    await using cluster = await NatsCluster.start(3, server);
    await play(Object.assign(new Scene(cluster.servers), { cluster }), run, leakCheck);
  };
  Deno.test({ ...unlessSkipped(name, skip), fn });
}

/** A namespace that no other test has. */
export function uniqueNamespace(): string {
  return `test-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
}

/** Resolves at `connection`'s next event of `type`, counted from the call: ask before the cause of it. */
export async function nextStatus(
  connection: NatsConnection,
  type: "disconnect" | "reconnect" | "reconnecting" | "close",
): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === type) return;
  }
  throw new Error(`Cannot wait for "${type}": the connection is closed`);
}

/** Runs a test's body, then looks for leaks, unless the body has failed, and closes in any case. */
export async function play<S extends Scene>(
  scene: S,
  run: (scene: S) => void | Promise<void>,
  leakCheck: boolean,
): Promise<void> {
  const resume = (): void => scene.servers.forEach((server) => server.resume());
  try {
    await run(scene);
    resume();
    if (leakCheck) await scene.assertNoLeaks();
  } finally {
    resume();
    await scene.close();
  }
}

interface Connz {
  readonly server: string;
  readonly cid: number;
  readonly kind?: string;
  readonly name?: string;
  readonly subscriptions_list?: readonly string[];
}

interface Jsz {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly consumer_detail?: readonly { readonly name: string }[];
    }[];
  }[];
}

async function openConnections(servers: readonly NatsServer[]): Promise<Connz[]> {
  const pages = await Promise.all(
    servers.map((server) =>
      server.monitor<{ server_id: string; connections: Omit<Connz, "server">[] }>(
        "/connz?subs=true&limit=100000",
      )
    ),
  );
  return pages.flatMap(({ server_id, connections }) =>
    connections.filter(({ kind = "Client" }) => kind === "Client")
      .map((connz) => ({ ...connz, server: server_id }))
  );
}

function find(connection: NatsConnection, open: readonly Connz[]): Connz | undefined {
  const info = connection.info;
  return open.find((connz) => connz.cid === info?.client_id && connz.server === info.server_id);
}

async function consumers(
  servers: readonly NatsServer[],
): Promise<{ stream: string; name: string }[]> {
  const found = new Map<string, { stream: string; name: string }>();
  for (const server of servers) {
    const jsz = await server.monitor<Jsz>("/jsz?accounts=true&streams=true&consumers=true");
    for (const account of jsz.account_details ?? []) {
      for (const { name: stream, consumer_detail = [] } of account.stream_detail ?? []) {
        for (const { name } of consumer_detail) found.set(`${stream} ${name}`, { stream, name });
      }
    }
  }
  return [...found.values()];
}
