import { KeyedQueue } from "../base/keyed_queue.ts";
import { commandLogOf } from "../command_log.ts";
import { messageSequenceOf } from "../format/position.ts";
import type { EventStore } from "../store.ts";
import { cacheOwnerOf } from "../store_view.ts";
import type { PendingCommand } from "./pending_command.ts";
import { CommandMemory } from "./handled_before.ts";
import { JointSaves } from "./joint_saves.ts";
import { SavePace } from "./save_pace.ts";
import { StateCache } from "./state_cache.ts";

/** The queues that commands on one store share. */
export interface QueueParts {
  /** States of actors. */
  readonly states: StateCache;
  readonly pace: SavePace;
  /** Commands that are known to be handled; `undefined` if the store keeps none. */
  readonly memory: CommandMemory | undefined;
  /** The turns of actors: of single commands, and of those on several actors. */
  readonly turns: KeyedQueue;
}

/** Actors whose states are kept in memory, for each store. */
const KEPT_STATES = 1000;

/** Shared by all commands on one store. */
export interface CommandQueues extends QueueParts {
  /** Only those of actors with commands under way. */
  readonly queues: Map<string, { push(job: PendingCommand): void }>;
  /** Saves of commands on several actors. */
  readonly joint: JointSaves;
}

const queuesByStore = new WeakMap<EventStore, CommandQueues>();

/** Views of one store share the states; each has queues of its own, as it saves in its own way. */
export function queuesOf(store: EventStore): CommandQueues {
  let commands = queuesByStore.get(store);
  if (commands === undefined) {
    const owner = cacheOwnerOf(store);
    const shared = owner === store ? newParts(store) : queuesOf(owner);
    const joint = new JointSaves(store);
    commands = { ...shared, queues: new Map(), turns: new KeyedQueue(), joint };
    queuesByStore.set(store, commands);
  }
  return commands;
}

/**
 * An actor's last message, if a search for the commands behind `position` had to read it; the search is
 * not made again for commands that have the event there as their cause.
 */
export async function lastMessage(
  store: EventStore,
  actorId: string,
  position: number,
): Promise<object | undefined> {
  const known = queuesOf(store).memory?.of(actorId);
  await known?.reach(messageSequenceOf(position));
  return known?.last;
}

function newParts(store: EventStore): Omit<QueueParts, "turns"> {
  const log = commandLogOf(store);
  const memory = log && new CommandMemory(log);
  return { states: new StateCache(KEPT_STATES), pace: new SavePace(), memory };
}
