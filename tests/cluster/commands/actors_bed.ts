/**
 * A node that runs commands, without a server: its store is in memory, its shards are what it is
 * told.
 *
 * @module
 */

import {
  Actors,
  type ActorsParts,
  type CommandHandler,
  type ReplyToDuplicate,
} from "../../../cluster/commands/actors.ts";
import type { HandledCommand } from "../../../store/fencing/handled_commands.ts";
import type { CommandAnswer, CommandMessage } from "../../../cluster/commands/messages.ts";
import type { LogPosition } from "../../../store/fencing/log_position.ts";
import { createEvent, type Event } from "../../../store/event.ts";
import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import type { EventStore } from "../../../store/store.ts";
import { shareCaches } from "../../../store/store_view.ts";
import type { RequestMux } from "../../../store/nats/requests.ts";

/** All that the actors ask of a requests is whether to go on. */
const requests = { closed: false, connected: () => Promise.resolve() } as unknown as RequestMux;

/** Differences from a node whose handler does nothing. */
export type NodeParts = Partial<Omit<ActorsParts, "handler" | "onDuplicate">> & {
  readonly handler?: CommandHandler;
  readonly again?: ReplyToDuplicate;
};

/** A node whose store notes which command has saved which events. */
export class Node {
  readonly store: InMemoryEventStore;
  /** By actor and command, what was saved. */
  readonly notes: Map<string, Map<string, HandledCommand>>;
  /** Shards that it does not serve. */
  readonly lost: Set<number> = new Set();
  /** From where commands were read. */
  readonly reads: number[] = [];
  confirmations = 0;
  renewals = 0;
  readonly actors: Actors;

  /** With `before`, on what that node has stored. */
  constructor({ handler, again, ...parts }: NodeParts = {}, before?: Node) {
    this.store = before?.store ?? new InMemoryEventStore();
    this.notes = before?.notes ?? new Map();
    this.actors = new Actors({
      requests,
      nodeId: "a",
      handler: () => handler ?? (() => undefined),
      onDuplicate: () => again,
      storeFor: (id) => this.marked(id),
      receiptsOf: (actorId, since) => {
        this.reads.push(since);
        const noted = [...this.notes.get(actorId) ?? []]
          .map(([id, { receipt }]) => [id, receipt] as const)
          .filter(([, { sequence }]) => sequence > since);
        return Promise.resolve({ receipts: new Map(noted), since });
      },
      eventsOf: (actorId, id, after) => {
        const { events = [], receipt } = this.notes.get(actorId)?.get(id) ?? {};
        return Promise.resolve((receipt?.sequence ?? 0) > after ? [...events] : []);
      },
      holds: async ({ sequence, id }) => {
        for await (const event of this.store.readAll({ from: sequence })) {
          return event.sequence === sequence && event.id === id;
        }
        return false;
      },
      shardOf: (actorId) => actorId.length,
      serves: (shard) => !this.lost.has(shard),
      otherOwner: () => undefined,
      confirm: () => {
        this.confirmations++;
        return Promise.resolve();
      },
      renew: () => Promise.resolve(void this.renewals++),
      idle: 60_000,
      capacity: 1000,
      ...parts,
    });
  }

  /** Runs a command. */
  send(
    id: string,
    command: unknown = id,
    actorId = "a-1",
    rest: Partial<CommandMessage> = {},
  ): Promise<CommandAnswer> {
    return this.actors.run({ id, actorId, command, ...rest });
  }

  /** A command whose sender has heard of `landmark`, and perhaps not of what became of a try. */
  retry(id: string, landmark: LogPosition | undefined, isDoubtful = true): Promise<CommandAnswer> {
    return this.send(id, id, "a-1", { landmark, isDoubtful });
  }

  /** The store for a command, which is noted with what it saves. */
  marked(id: string): EventStore {
    const saveEvents = async (events: readonly Event[]) => {
      const receipt = await this.store.saveEvents(events);
      const notes = this.notes.get(events[0]!.actorId) ?? new Map();
      this.notes.set(events[0]!.actorId, notes.set(id, { events, receipt }));
      return receipt;
    };
    const view = new Proxy<EventStore>(this.store, {
      get: (target, name) => {
        if (name === "saveEvents") return saveEvents;
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return shareCaches(view, this.store);
  }
}

/** The event that {@linkcode append} saves. */
export function noted(actorId: string, version: number, command: unknown): Event {
  return createEvent({ eventType: "Noted", actorId, version, data: { command } });
}

/** Saves one event with the command; gives its version. */
export const append: CommandHandler = async (command, { actorId, store }) => {
  const version = await store.getLatestVersion(actorId) + 1;
  await store.saveEvent(noted(actorId, version, command));
  return version;
};
