import type { ActorEnd } from "../command_log.ts";
import type { SaveOptions } from "../options.ts";
import type { SavePart } from "./runs.ts";

/** Options of a save that are no business of the store's users. */
export interface InnerSaveOptions extends SaveOptions {
  /** The command that the save is the outcome of. */
  readonly command?: string | undefined;
  /** The commands that parts of the events are the outcome of, in order; they add up to all. */
  readonly parts?: readonly SavePart[] | undefined;
  /** Where actors must end exactly, receipts included: the events were decided on that. */
  readonly ends?: ReadonlyMap<string, ActorEnd> | undefined;
}

/** The parts of a save of `count` events. */
export function partsOf({ parts, command }: InnerSaveOptions, count: number): readonly SavePart[] {
  if (parts === undefined) return [{ events: count, command }];
  return parts.map((part) => ({ ...part, command: part.command ?? command }));
}
