import { tokenProblem } from "../base/token.ts";

/**
 * An event and where it is in the stream. A caller that names one knows it to be stored, so events
 * that are stored later are behind it, as long as the stream still has it.
 */
export interface LogPosition {
  /** The position of the event. */
  readonly sequence: number;
  /** The id of the event. */
  readonly id: string;
}

/** The position that `value` holds; `undefined` if it holds none. */
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
