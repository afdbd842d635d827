/**
 * Starts a cluster of real nats-servers with JetStream on 127.0.0.1.
 *
 * @module
 */

import { NatsServer, NatsServerError, type NatsServerOptions } from "./nats_server.ts";

/** Options for {@linkcode NatsCluster.start}: those of each server, and how long the cluster may take. */
export interface NatsClusterOptions
  extends Omit<NatsServerOptions, "name" | "storeDir" | "jetstream"> {
  /** Longest wait of each helper for the cluster to be as asked, in ms. @default {30_000} */
  readonly patience?: number;
}

interface MetaCluster {
  readonly leader?: string;
  readonly cluster_size: number;
  readonly replicas?: readonly { readonly name: string; readonly current: boolean }[];
}

interface JetStreamStatus {
  readonly meta_cluster?: MetaCluster;
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly cluster?: { readonly leader?: string };
    }[];
  }[];
}

/** Servers joined by routes, each with its own JetStream folder. */
export class NatsCluster implements AsyncDisposable {
  /** The servers, in the order of their names `n1`, `n2`, …; all of them, whether up or down. */
  readonly servers: readonly NatsServer[];
  readonly #patience: number;

  private constructor(servers: readonly NatsServer[], patience: number) {
    this.servers = servers;
    this.#patience = patience;
  }

  /** Starts `size` servers; resolves when they have a meta leader and every peer is current. */
  static async start(size = 3, options: NatsClusterOptions = {}): Promise<NatsCluster> {
    for (let attempt = 1;; attempt++) {
      try {
        return await NatsCluster.#form(size, options);
      } catch (error) {
        // Ports of routes are chosen ahead, so that another process can take one in between.
        if (attempt === 5 || !(error instanceof NatsServerError && error.addressInUse)) throw error;
      }
    }
  }

  static async #form(size: number, options: NatsClusterOptions): Promise<NatsCluster> {
    const { config = "", patience = 30_000, ...rest } = options;
    const ports = freePorts(size);
    const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    const starts = await Promise.allSettled(ports.map((port, at) =>
      NatsServer.start({
        ...rest,
        name: `n${at + 1}`,
        config:
          `cluster { name: aether, listen: "127.0.0.1:${port}", routes: [${routes}] }\n${config}`,
      })
    ));
    const servers = starts.filter((start) => start.status === "fulfilled")
      .map((start) => start.value);
    const cluster = new NatsCluster(servers, patience);
    try {
      const failed = starts.find((start) => start.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      await cluster.#until("form", async () => {
        const down = servers.find((server) => !server.running);
        if (down !== undefined) throw new NatsServerError("A server ended", down.log(20));
        return await cluster.#healthy();
      });
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** The addresses of all servers, whether up or down. */
  get urls(): string[] {
    return this.servers.map((server) => server.url);
  }

  /**
   * Resolves when the servers that are up and not paused agree on a meta leader,
   * are current with it, and have caught up with the streams and consumers they hold.
   */
  waitHealthy(): Promise<void> {
    return this.#until("get healthy", () => this.#healthy());
  }

  /** The server that leads `stream`, as it reports itself; waits for an election under way. */
  async leaderOf(stream: string): Promise<NatsServer> {
    let leader: NatsServer | undefined;
    await this.#until(`find the leader of "${stream}"`, async () => {
      for (const server of this.#answering()) {
        const status = await server.monitor<JetStreamStatus>("/jsz?accounts=true&streams=true");
        const details = status.account_details?.flatMap((account) => account.stream_detail ?? []);
        const detail = details?.find((detail) => detail.name === stream);
        if (detail?.cluster?.leader === server.name) leader = server;
      }
      return leader !== undefined;
    });
    return leader!;
  }

  /** The server that leads the cluster's own metadata; waits for an election under way. */
  async metaLeader(): Promise<NatsServer> {
    await this.waitHealthy();
    const status = await this.#answering()[0]!.monitor<JetStreamStatus>("/jsz");
    return this.servers.find((server) => server.name === status.meta_cluster?.leader)!;
  }

  /** Ends all servers and removes their folders. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }

  #answering(): NatsServer[] {
    return this.servers.filter((server) => server.running && !server.paused);
  }

  async #healthy(): Promise<boolean> {
    const servers = this.#answering();
    const metas = await Promise.all(
      servers.map(async (server) => (await server.monitor<JetStreamStatus>("/jsz")).meta_cluster),
    );
    const name = metas[0]?.leader ?? "";
    const agreed = metas.every((meta) =>
      meta?.leader === name && meta.cluster_size === this.servers.length
    );
    const leader = servers.findIndex((server) => server.name === name);
    if (!agreed || leader === -1) return false;
    // Only the leader knows how far its peers are.
    const current = servers.every((server, at) =>
      at === leader ||
      metas[leader]?.replicas?.some((peer) => peer.name === server.name && peer.current) === true
    );
    if (!current) return false;
    const healths = await Promise.all(
      servers.map((server) => server.monitor<{ status: string }>("/healthz")),
    );
    return healths.every((health) => health.status === "ok");
  }

  // The monitoring endpoints push nothing: asking again is the only way to wait for a state.
  async #until(what: string, reached: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + this.#patience;
    let cause: unknown;
    do {
      try {
        if (await reached()) return;
      } catch (error) {
        if (error instanceof NatsServerError) throw error;
        cause = error; // a server that is just going down or coming up
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    } while (performance.now() < deadline);
    const logs = this.servers.map((server) => server.log(10)).join("\n--\n");
    throw new Error(`Cannot ${what} in ${this.#patience} ms: the servers log\n${logs}`, { cause });
  }
}

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
