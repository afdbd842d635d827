let epoch = 0;

/**
 * Counts what was forgotten in this process: a state that was read in an earlier epoch may hold what
 * is forgotten by now.
 */
export function forgetEpoch(): number {
  return epoch;
}

/** Begins the next epoch: nothing that was kept before is to be used from now on. */
export function noteForgotten(): void {
  epoch++;
}
