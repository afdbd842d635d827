import { tokenProblem } from "../base/token.ts";

/**
 * An event and where it is in the stream. Whoever names one has heard of it: what is stored later
 * is behind it, in a stream that has it still.
 */
export interface LogPosition {
  /** The position of the event. */
  readonly sequence: number;
  /** The id of the event. */
  readonly id: string;
}

/** The landmark that `value` says; `undefined` where that is none. */
export function logPositionIn(value: unknown): LogPosition | undefined {
  const { sequence, id } = (value ?? {}) as Partial<LogPosition>;
  if (!Number.isSafeInteger(sequence) || sequence! < 1) return undefined;
  if (tokenProblem(id) !== undefined) return undefined;
  return { sequence: sequence!, id: id! };
}

/** The later of two. */
export function later(
  one: LogPosition | undefined,
  other: LogPosition | undefined,
): LogPosition | undefined {
  return (one?.sequence ?? 0) >= (other?.sequence ?? 0) ? one : other;
}
