/**
 * Senders of orders: nodes without shards in the process of the storm, which remember each reply.
 *
 * @module
 */

import { connect, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node";
import { Cluster } from "../../cluster/cluster.ts";
import type { ClusterOptions } from "../../cluster/options.ts";
import { isAetherError } from "../../store/errors.ts";
import type { Order } from "./owners.ts";
import { pause } from "./scenario.ts";
import type { Acked } from "./stored_log.ts";

/** How long a sender goes on with one command, in ms: longer than any storm's outage. */
const PATIENCE = 120_000;

/** Actors of about all shards. */
const SAMPLES = Array.from({ length: 500 }, (_, at) => `sample-${at}`);

/** How replies of one actor have come. */
export interface Pace {
  /** When, by `performance.now()`. */
  readonly replies: number[];
  /** When the command that is waited for was sent. */
  since: number | undefined;
}

/** How a sender sends. */
export interface SenderInit {
  /** Its connection, beside never giving up. */
  readonly connection?: NodeConnectionOptions;
  /** Whether it names the commands of an actor; else `send()` does. @default {of none} */
  readonly names?: (actorId: string) => boolean;
}

/** A node that sends. */
export class Sender implements AsyncDisposable {
  /** Replies that came. */
  readonly acked: Acked[] = [];
  /** Commands whose handlers failed, by what they said. */
  readonly failed: Record<string, number> = {};
  /** Commands that were sent again under their ids, as their outcome was unknown. */
  doubts = 0;
  readonly cluster: Cluster;
  readonly connection: NatsConnection;
  readonly #ends = new AbortController();
  readonly #names: (actorId: string) => boolean;
  #count = 0;

  private constructor(
    cluster: Cluster,
    connection: NatsConnection,
    names: (actorId: string) => boolean,
  ) {
    this.cluster = cluster;
    this.connection = connection;
    this.#names = names;
  }

  /** Joins as a node without shards. */
  static async join(
    servers: readonly string[],
    options: ClusterOptions,
    { connection: settings = {}, names = () => false }: SenderInit = {},
  ): Promise<Sender> {
    const connection = await connect({
      servers: [...servers],
      maxReconnectAttempts: -1,
      ...settings,
    });
    const cluster = await Cluster.join(connection, { ...options, capacity: 0 });
    return new Sender(cluster, connection, names);
  }

  /** Sends one order until there is a reply, under one id once it may be handled; gives the reply. */
  async send(actorId: string, order: Order): Promise<unknown> {
    let commandId = this.#names(actorId) ? `${this.cluster.nodeId}-${++this.#count}` : undefined;
    const over = performance.now() + PATIENCE;
    for (;;) {
      try {
        const reply = await this.cluster.send(actorId, order, { ...commandId && { commandId } });
        this.acked.push({ actorId, commandId, version: Number(reply) });
        return reply;
      } catch (error) {
        if (isAetherError(error, "CommandAlreadyHandledError")) {
          this.acked.push({ actorId, commandId, version: undefined });
          return;
        }
        if (isAetherError(error, "CommandFailedError")) {
          const { failure } = error;
          const what = `${failure.code ?? failure.name}: ${failure.message}`;
          this.failed[what] = (this.failed[what] ?? 0) + 1;
          return;
        }
        const isUnknown = isAetherError(error, "CommandOutcomeUnknownError") ||
          isAetherError(error, "CommandCrashedOwnersError");
        if (isUnknown) ({ commandId } = error);
        const isPassing = isUnknown || isAetherError(error, "StoreUnavailableError");
        if (!isPassing || performance.now() > over) throw error;
        this.doubts++;
        await pause(50);
      }
    }
  }

  /** Sends to one actor, one order after the other, each `every` ms; until {@linkcode Sender.stop}. */
  async pace(actorId: string, every: number, pace: Pace): Promise<void> {
    while (!this.#ends.signal.aborted) {
      const start = pace.since = performance.now();
      await this.send(actorId, { kind: "count" });
      pace.since = undefined;
      pace.replies.push(performance.now());
      await pause(Math.max(1, every - (performance.now() - start)));
    }
  }

  /** Ends all paces, after the orders that are under way. */
  stop(): void {
    this.#ends.abort();
  }

  /** Resolves when the nodes in `nodeIds`, and no others, own all shards. */
  async owned(...nodeIds: readonly string[]): Promise<void> {
    for (;;) {
      const { map: { owned, free }, view } = this.cluster.describe();
      const members = new Set(view.members.map(({ nodeId }) => nodeId));
      const isFair = free === 0 && owned.size === nodeIds.length &&
        nodeIds.every((nodeId) => owned.has(nodeId) && members.has(nodeId));
      const shares = [...owned.values()];
      // Owners of old are none, though the map may name them still.
      if (SAMPLES.some((actorId) => this.cluster.ownerOf(actorId) === undefined)) {
        await pause(20);
        continue;
      }
      if (isFair && Math.max(...shares) - Math.min(...shares) <= 1) return;
      await pause(20);
    }
  }

  /** Leaves, and closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.leave();
    await this.connection.close();
  }
}
