/** Positions that one message of the stream has room for: one for each event in it. */
export const MAX_RUN = 256;

declare const streamSequence: unique symbol;
declare const position: unique symbol;

/** The server's number for a message of a stream, counted from 1; 0 is before the first. */
export type StreamSequence = number & { readonly [streamSequence]: true };

/**
 * The position of an event in its store: `stream sequence × 256 + index in its message`. One safe
 * integer, unique, in the order of the store, up to 35 trillion messages.
 */
export type Position = number & { readonly [position]: true };

/** Takes a number of the server's as what it is. */
export function asStreamSequence(sequence: number): StreamSequence {
  return sequence as StreamSequence;
}

/** The position of the event with this index in the message at `sequence`. */
export function positionOf(sequence: StreamSequence, index: number = 0): Position {
  return sequence * MAX_RUN + index as Position;
}

/**
 * The server's sequence of the message that holds the event at `position`: `nats stream get` takes
 * it, and the server's tools show it.
 *
 * @param position The `sequence` of a recorded event, of a receipt, or of an error.
 */
export function streamSequenceOf(position: number): number {
  return messageSequenceOf(position);
}

/** The same as the type that it is inside. */
export function messageSequenceOf(position: number): StreamSequence {
  return Math.floor(position / MAX_RUN) as StreamSequence;
}

/** The index in its message of the event at `position`. */
export function indexOf(position: number): number {
  return position % MAX_RUN;
}
