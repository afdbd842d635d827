import { decodeJson, encodeJson } from "../base/json.ts";
import type { KeyedQueue } from "../base/keyed_queue.ts";
import { encodeToken } from "../base/token.ts";
import { checkReceipt } from "../check/events.ts";
import { unavailable } from "../check/refusals.ts";
import type { CommandLog, CommandReceipt, CommandSearch, StoredOutcome } from "../command_log.ts";
import type { SaveReceipt } from "../options.ts";
import { searchLog } from "./command_search.ts";
import type { MemoryEventReader } from "./event_reader.ts";
import type { MemoryLog } from "./log.ts";
import { takeTurn } from "./turn.ts";

/** The parts of a {@linkcode MemoryCommandLog}. */
export interface MemoryCommandLogParts {
  readonly log: MemoryLog;
  readonly reader: MemoryEventReader;
  /** One save of an actor at a time. */
  readonly lanes: KeyedQueue;
  /** Bytes that one receipt may take. */
  readonly maxBytes: number;
  /** Throws once the store is disposed. */
  readonly checkOpen: (what: string) => void;
}

/** The command log of a store in memory. */
export class MemoryCommandLog implements CommandLog {
  readonly #parts: MemoryCommandLogParts;

  /** Looks through the log of `parts`, and adds to it. */
  constructor(parts: MemoryCommandLogParts) {
    this.#parts = parts;
  }

  /** See {@linkcode CommandLog.search}. */
  search(actorId: string, after?: number | Date): Promise<CommandSearch> {
    return Promise.resolve(searchLog(this.#parts.log, actorId, after));
  }

  /** See {@linkcode CommandLog.holds}. */
  holds(sequence: number, id: string): Promise<boolean> {
    return Promise.resolve(this.#parts.log.at(sequence)?.id === id);
  }

  /** See {@linkcode CommandLog.outcome}. */
  async outcome(actorId: string, commandId: string): Promise<StoredOutcome> {
    const { log, reader } = this.#parts;
    const own = log.historyOf(actorId).filter(({ command }) => command === commandId);
    const last = own.at(-1);
    if (last !== undefined) return { events: await reader.all(own), sequence: last.sequence };
    const receipt = log.receiptsOf(actorId).find((it) => it.commandId === commandId)!;
    return { events: [], sequence: receipt.sequence, outcome: decodeJson(receipt.body) };
  }

  /** See {@linkcode CommandLog.record}. */
  async record(
    { actorId, commandId, end, outcome }: CommandReceipt,
    signal?: AbortSignal,
  ): Promise<SaveReceipt> {
    const { log, lanes, maxBytes, checkOpen } = this.#parts;
    checkOpen("record a command");
    encodeToken(commandId);
    const body = encodeJson(outcome);
    checkReceipt(actorId, end.version, body, maxBytes);
    return await takeTurn(lanes, [actorId], {
      signal,
      refusal: (reason) => unavailable({ actorId, version: end.version }, reason),
      prepare: () => {},
      store: () => {
        log.check([], new Map(), new Map([[actorId, end]]));
        const sequence = log.addReceipt(actorId, commandId, body);
        return Promise.resolve({ sequence, duplicate: false });
      },
    });
  }
}
