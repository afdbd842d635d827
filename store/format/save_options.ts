import type { ActorEnd } from "../command_log.ts";
import type { SaveOptions, SaveReceipt } from "../options.ts";
import type { Position } from "./position.ts";
import type { SavePart } from "./runs.ts";

/** Options of a save that are no business of the store's users. */
export interface InnerSaveOptions extends SaveOptions {
  /** The command that the save is the outcome of. */
  readonly command?: string | undefined;
  /** The commands that parts of the events are the outcome of, in order; they add up to all. */
  readonly parts?: readonly SavePart[] | undefined;
  /** The exact ends of actors, receipts included, that the events were decided on. */
  readonly ends?: ReadonlyMap<string, ActorEnd> | undefined;
}

/** The parts of a save of `count` events. */
export function partsOf({ parts, command }: InnerSaveOptions, count: number): readonly SavePart[] {
  if (parts === undefined) return [{ events: count, command }];
  return parts.map((part) => ({ ...part, command: part.command ?? command }));
}

const positions = new WeakMap<SaveReceipt, readonly Position[]>();

/** Keeps where each part of a save ends, beside its receipt. */
export function notePositions(receipt: SaveReceipt, ends: readonly Position[]): SaveReceipt {
  if (ends.length > 1) positions.set(receipt, ends);
  return receipt;
}

/** The positions of the last event of each part of a save. */
export function positionsIn(receipt: SaveReceipt, parts: readonly SavePart[]): readonly number[] {
  const noted = positions.get(receipt);
  if (noted?.length === parts.length) return noted;
  // All parts are in one message: their events follow each other.
  const ends: number[] = [];
  let end = receipt.sequence;
  for (const { events } of parts.toReversed()) {
    ends.unshift(end);
    end -= events;
  }
  return ends;
}
