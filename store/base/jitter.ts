/**
 * Waits between tries, in ms: each call gives a random part, half of it at least, of a span that
 * doubles from `shortest` to `longest`. So callers that fail together do not come back together.
 */
export function jitteredWaits(shortest: number, longest: number): () => number {
  let span = shortest;
  return () => {
    const wait = span * (0.5 + Math.random() / 2);
    span = Math.min(span * 2, longest);
    return wait;
  };
}
