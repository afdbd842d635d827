/**
 * A node that runs commands, without a server: its store is in memory, its shards are what it is
 * told.
 *
 * @module
 */

import { Actors, type ActorsParts } from "../../../cluster/commands/actors.ts";
import type { CommandHandler, ReplyToDuplicate } from "../../../cluster/commands/handler.ts";
import type { CommandAnswer, CommandMessage } from "../../../cluster/commands/messages.ts";
import type { LogPosition } from "../../../store/fencing/log_position.ts";
import { type CommandLog, commandLogOf, keepCommandLog } from "../../../store/command_log.ts";
import type { InnerSaveOptions } from "../../../store/format/save_options.ts";
import { createEvent, type Event } from "../../../store/event.ts";
import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import type { EventStore } from "../../../store/store.ts";
import { shareCaches } from "../../../store/store_view.ts";
import type { RequestMux } from "../../../store/nats/requests.ts";

/** All that the actors ask of a requests is whether to go on. */
const requests = { closed: false, connected: () => Promise.resolve() } as unknown as RequestMux;

/** Differences from a node whose handler does nothing. */
export type NodeParts = Partial<Omit<ActorsParts, "handler" | "log" | "onDuplicate">> & {
  readonly handler?: CommandHandler;
  readonly again?: ReplyToDuplicate;
  /** What the store knows of commands, unless it is the truth. */
  readonly log?: Partial<CommandLog>;
};

/** A node whose store notes which command has saved which events. */
export class Node {
  readonly store: InMemoryEventStore;
  /** Shards that it does not serve. */
  readonly lost: Set<number> = new Set();
  /** From where commands were searched: `undefined` for the last 1,000 events. */
  readonly reads: (number | Date | undefined)[] = [];
  confirmations = 0;
  renewals = 0;
  readonly actors: Actors;

  /** With `before`, on what that node has stored. */
  constructor({ handler, again, log, ...parts }: NodeParts = {}, before?: Node) {
    this.store = before?.store ?? new InMemoryEventStore();
    const commands = commandLogOf(this.store)!;
    this.actors = new Actors({
      requests,
      nodeId: "a",
      handler: () => handler ?? (() => undefined),
      onDuplicate: () => again,
      storeFor: (id) => this.marked(id),
      log: {
        holds: (sequence, id) => commands.holds(sequence, id),
        outcome: (actorId, id, place) => commands.outcome(actorId, id, place),
        record: (receipt, signal) => commands.record(receipt, signal),
        search: (actorId, after) => {
          this.reads.push(after);
          return commands.search(actorId, after);
        },
        ...log,
      },
      shardOf: (actorId) => actorId.length,
      serves: (shard) => !this.lost.has(shard),
      otherOwner: () => undefined,
      confirm: () => {
        this.confirmations++;
        return Promise.resolve();
      },
      saved: () => {},
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

  /** The store for a command, whose saves carry its id. */
  marked(command: string): EventStore {
    const saveEvents = (events: readonly Event[], options?: InnerSaveOptions) =>
      this.store.saveEvents(events, { ...options, command } as InnerSaveOptions);
    const view = new Proxy<EventStore>(this.store, {
      get: (target, name) => {
        if (name === "saveEvents") return saveEvents;
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    keepCommandLog(view, commandLogOf(this.store));
    return shareCaches(view, this.store);
  }

  /** Whether the actor has events of the command. */
  async holds(id: string, actorId = "a-1"): Promise<boolean> {
    return (await commandLogOf(this.store)!.search(actorId, 0)).found.has(id);
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
