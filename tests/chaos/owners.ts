/**
 * Nodes of a cluster in processes of their own, with the orders that they get and the reports that
 * they give.
 *
 * @module
 */

import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { ClusterOptions } from "../../cluster/options.ts";
import { Crew, type CrewNote } from "./crew.ts";

/** How owners join; what they handle is an {@linkcode Order}. */
export interface OwnerOptions {
  readonly servers: readonly string[];
  /** Its form in JSON. */
  readonly cluster: ClusterOptions;
  /** Their connections, beside never giving up. */
  readonly connection?: NodeConnectionOptions;
  /** Whether they report each view, and each change in the number of shards that they serve. */
  readonly watch?: boolean;
}

/** A command of an actor. */
export type Order =
  /** Saves an event, and replies with its version. */
  | { readonly kind: "count" }
  /**
   * Saves an event, reports it, and never replies while its process has the incarnation it was sent
   * to.
   */
  | { readonly kind: "hang"; readonly tag: string }
  /** Saves an event, reports it, and saves more until one is refused, several waiting at once. */
  | { readonly kind: "flood"; readonly waiting: number }
  /** Saves an event, reports it, blocks the event loop until a file exists, and saves another one. */
  | { readonly kind: "block"; readonly until: string };

/** The data that an order saves. */
export interface CountedData {
  /** The process that handled it: node and life. */
  readonly by: readonly [nodeId: string, life: number];
}

/** A line that an owner writes; times are the machine's clock's, in ms. */
export interface OwnerNote extends CrewNote {
  readonly kind: "joined" | "left" | "view" | "serves" | "leader" | "saved" | "ended";
  readonly at: number;
  readonly incarnation?: string;
  /** Nodes in the view. */
  readonly members?: readonly string[];
  /** Which version of the view. */
  readonly version?: number;
  /** How many shards are served. */
  readonly count?: number;
  readonly actorId?: string;
  readonly tag?: string;
  readonly leader?: string;
  /** How many saves of a flood or block ended how: by error code, or "saved". */
  readonly ends?: Readonly<Record<string, number>>;
}

/** Processes of `owner.ts`. */
export class Owners extends Crew<OwnerOptions, OwnerNote> {
  /** Owners that join by `options`. */
  constructor(options: OwnerOptions) {
    super(new URL("owner.ts", import.meta.url), options);
  }

  /** Starts these, and resolves when all have joined. */
  async join(...nodeIds: readonly string[]): Promise<void> {
    for (const nodeId of nodeIds) this.start(nodeId);
    for (const nodeId of nodeIds) await this.of(nodeId, "joined");
  }

  /** Has the node leave; gives how long that took, in ms. */
  async leave(nodeId: string): Promise<number> {
    const start = performance.now();
    const life = this.lifeOf(nodeId);
    await this.order(nodeId, "leave");
    await this.next((note) => note.life === life && note.kind === "left", 0);
    const took = performance.now() - start;
    await this.end(nodeId);
    return took;
  }
}
