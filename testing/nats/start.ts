import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "./binary.ts";
import { Server } from "./server.ts";

/** How long servers may take to form a cluster, in ms. */
const PATIENCE = 30_000;
/** How often a cluster is tried whose ports another process takes in between. */
const ATTEMPTS = 5;

/** The names of a cluster's servers. */
const NAMES: readonly string[] = ["n1", "n2", "n3"];

/** Options for {@linkcode startNats}. */
export interface StartNatsOptions {
  /** The server's version, or its beginning, such as `"2.14"`. @default {any from 2.12 on} */
  readonly version?: string;
  /** One server, or a cluster of three, for streams with `replicas: 3`. @default {1} */
  readonly servers?: 1 | 3;
  /** More configuration of each server, in its own syntax. @default {""} */
  readonly config?: string;
}

/** Servers that {@linkcode startNats} has started. */
export interface StartedNats extends AsyncDisposable {
  /** The address of the first one. */
  readonly url: string;
  /** The addresses of all, for `connect({ servers })`. */
  readonly urls: string[];
  /** Ends them and removes their data; may be repeated. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a real nats-server with JetStream on 127.0.0.1, on a free port and with its data in a
 * temporary folder, for a test in any runner, on Deno and Node. Resolves when it takes clients.
 *
 * The program is the first of `$NATS_SERVER`, one on the PATH, and the cache of this user; else the
 * official release or Debian's package is fetched into the cache, once. If the test's process dies,
 * the server ends with it (not on Windows).
 *
 * @throws {Error} No server is found or fetched, which names what to do; or it does not start.
 *
 * @example A test on a real server
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { JetStreamEventStore } from "@flowmade-one/aether";
 * import { startNats } from "@flowmade-one/aether/testing/nats";
 *
 * const nats = await startNats(); // `await using`, on Deno or Node 24
 * const connection = await connect({ servers: nats.urls });
 * const store = await JetStreamEventStore.open(connection);
 * console.log(await store.getLatestVersion("order-1")); // 0
 * await store[Symbol.asyncDispose]();
 * await connection.close();
 * await nats[Symbol.asyncDispose]();
 * ```
 */
export async function startNats(
  options: StartNatsOptions = {},
): Promise<StartedNats> {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot start servers: options is ${options}, not an object`);
  }
  const { version, servers: size = 1, config = "" } = options;
  if (size !== 1 && size !== 3) {
    throw new RangeError(`Cannot start ${size} servers: 1 or 3 are possible`);
  }
  const binary = await findNatsServer({ version });
  for (let attempt = 1;; attempt++) {
    const servers: Server[] = [];
    const end = async (): Promise<void> => {
      await Promise.all(servers.map((server) => server.end()));
    };
    try {
      for (let at = 0; at < size; at++) {
        servers.push(new Server(await mkdtemp(join(tmpdir(), "aether-nats-"))));
      }
      const routes = size === 1 ? [] : await freePorts(size);
      const starts = servers.map((server, at) =>
        server.start(binary, `${clusterConfig(routes, at)}\n${config}`)
      );
      await Promise.all(starts.map((start) => start.catch(() => {}))); // so that none starts later
      await Promise.all(starts);
      if (size > 1) await formed(servers);
      const urls = servers.map(({ ports }) => `nats://127.0.0.1:${ports.client}`);
      return { url: urls[0]!, urls, [Symbol.asyncDispose]: end };
    } catch (error) {
      await end();
      const isTaken = /address already in use|only one usage of each socket/i.test(`${error}`);
      if (!isTaken || attempt === ATTEMPTS) throw error;
    }
  }
}

function clusterConfig(routes: readonly number[], at: number): string {
  if (routes.length === 0) return "";
  const urls = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  return `server_name: ${NAMES[at]}\n` +
    `cluster { name: aether, listen: "127.0.0.1:${routes[at]}", routes: [${urls}] }`;
}

interface JetStreamStatus {
  readonly meta_cluster?: {
    readonly leader?: string;
    readonly cluster_size: number;
    readonly replicas?: readonly { readonly current: boolean }[];
  };
}

/** Resolves when all agree on a leader, and the leader has all of them. */
async function formed(servers: readonly Server[]): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  const isFormed = async (): Promise<boolean> => {
    const all = await Promise.all(
      servers.map(async (server) => (await server.monitor<JetStreamStatus>("/jsz"))?.meta_cluster),
    );
    const leader = all[0]?.leader ?? "";
    const isAgreed = all.every((meta) =>
      meta?.leader === leader && meta.cluster_size === servers.length
    );
    // Only the leader knows how far its peers are.
    const replicas = all[NAMES.indexOf(leader)]?.replicas ?? [];
    return isAgreed && replicas.length === servers.length - 1 &&
      replicas.every(({ current }) => current);
  };
  // The monitoring endpoints push nothing: asking again is the only way to wait for a state.
  while (!await isFormed()) {
    if (performance.now() > deadline) {
      const logs = servers.map(({ log }) => log).join("\n--\n");
      throw new Error(`Cannot form a cluster in ${PATIENCE} ms: the servers log\n${logs}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const listeners = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const listener = createServer();
          listener.on("error", reject);
          listener.listen(0, "127.0.0.1", () => resolve(listener));
        }),
    ),
  );
  const ports = listeners.map((listener) => (listener.address() as { readonly port: number }).port);
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}
