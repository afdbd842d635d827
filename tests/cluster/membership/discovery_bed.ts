/**
 * The bed of tests of discovery: nodes with connections of their own, and waiting for views.
 *
 * @module
 */

import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import type { ClusterChange } from "../../../cluster/membership/changes.ts";
import { Discovery } from "../../../cluster/membership/discovery.ts";
import type { DiscoveryOptions, Leadership } from "../../../cluster/membership/options.ts";
import type { Leader } from "../../../cluster/election/leader_key.ts";
import { Notifier } from "../../../store/base/notifier.ts";
import type { ClusterView } from "../../../cluster/membership/view.ts";
import { clusterBucket } from "../../../cluster/subjects.ts";
import type { NatsCluster } from "../../../tools/nats_cluster.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { consumersOf } from "../../support/watch.ts";

/** A node of a test. */
export interface TestNode {
  readonly discovery: Discovery;
  readonly connection: NatsConnection;
}

/** The place where the nodes of a test meet. */
export class Hall {
  /** The servers and connections. */
  readonly scene: Scene;
  /** How many nodes have ended silently. */
  crashed = 0;
  readonly #nodes: Discovery[] = [];

  /** On the servers of `scene`. */
  constructor(scene: Scene) {
    this.scene = scene;
  }

  /** Joins by a connection of its own. */
  async join(
    options: DiscoveryOptions = {},
    connecting: NodeConnectionOptions = {},
  ): Promise<TestNode> {
    const connection = await this.scene.connect(connecting);
    const { namespace } = this.scene;
    const replicas = this.scene.servers.length;
    const discovery = await Discovery.join(connection, { namespace, replicas, ...options });
    this.#nodes.push(discovery);
    return { discovery, connection };
  }

  /** Ends a node silently, as the end of its process would. */
  async crash({ connection }: TestNode): Promise<void> {
    this.crashed++;
    await connection.close();
  }

  /** Has all nodes leave; what those that crashed have left on the server is no leak. */
  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
    if (this.crashed === 0) return;
    const connection = await this.scene.connect();
    const names = await consumersOf(connection, `KV_${clusterBucket(this.scene.namespace)}`);
    if (names.length <= this.crashed) this.scene.keepConsumers(...names);
    await connection.close();
  }
}

/** A test of nodes on one server. */
export function nodesTest(name: string, run: (hall: Hall) => Promise<void>): void {
  natsTest(name, (scene) => meet(new Hall(scene), run));
}

/** A test of nodes on a cluster of three servers. */
export function clusterNodesTest(
  name: string,
  run: (hall: Hall, cluster: NatsCluster) => Promise<void>,
): void {
  clusterTest(name, (scene) => meet(new Hall(scene), (hall) => run(hall, scene.cluster)));
}

async function meet(hall: Hall, run: (hall: Hall) => Promise<void>): Promise<void> {
  try {
    await run(hall);
  } finally {
    await hall.close();
  }
}

/** Resolves with the first view of `discovery`, from its present one on, that is such. */
export async function viewIs(
  discovery: Discovery,
  isSuch: (view: ClusterView) => boolean,
): Promise<ClusterView> {
  const changes = discovery.changes();
  if (isSuch(discovery.view)) {
    await changes.return();
    return discovery.view;
  }
  for await (const { view } of changes) {
    if (isSuch(view)) return view;
  }
  throw new Error(`The node has left: ${JSON.stringify(discovery.view)}`);
}

/** Resolves when the members are these, in the order in which they joined. */
export async function membersAre(discovery: Discovery, ...ids: string[]): Promise<ClusterView> {
  return await viewIs(discovery, (view) => idsOf(view).join() === ids.join());
}

/** The members, in the order in which they joined. */
export function idsOf({ members }: ClusterView): string[] {
  return members.map(({ nodeId }) => nodeId);
}

/** Resolves at the next change of that type, counted from the call. */
export async function nextChange(
  discovery: Discovery,
  type: ClusterChange["type"],
): Promise<ClusterChange> {
  for await (const change of discovery.changes()) {
    if (change.type === type) return change;
  }
  throw new Error("The node has left");
}

/** A leadership that a test hands out. */
export class FakeLeadership implements Leadership {
  readonly #changed = new Notifier();
  #leader: Leader | undefined;
  #term = 0;

  /** Makes `nodeId` the leader, or leaves none. */
  set(nodeId: string | undefined): void {
    this.#leader = nodeId === undefined ? undefined : { nodeId, term: ++this.#term };
    this.#changed.notify();
  }

  /** See {@linkcode Leadership.changes}. */
  async *changes(
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<Leader | undefined, void> {
    while (!signal.aborted) {
      const { count } = this.#changed;
      yield this.#leader;
      await this.#changed.wait(2 ** 31 - 1, signal, count);
    }
  }
}
