import type { Event } from "../../store/event.ts";
import type { EventStore } from "../../store/store.ts";

/** The context that a handler gets beside the command. */
export interface CommandContext {
  /** The actor of the command. */
  readonly actorId: string;
  /** The command's id; the same when the command comes again. */
  readonly commandId: string;
  /**
   * The event store, fenced to the shards that this node owns; events that are saved through it
   * carry the command's id. It takes no saves after the handler's end.
   */
  readonly store: EventStore;
  /**
   * Aborted when what the handler does is no longer of use: the sender's time is over, or the shard
   * is about to go to another node, which handles the command then.
   */
  readonly signal: AbortSignal;
}

/** Handles the commands of the actors that this node owns, and returns the reply. */
export type CommandHandler = (command: unknown, context: CommandContext) => unknown;

/** Makes the reply of a command that was handled before, from the events that it led to. */
export type ReplyToDuplicate = (
  events: readonly Event[],
  context: { readonly actorId: string; readonly commandId: string },
) => unknown;
