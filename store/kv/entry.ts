/** What stands at a key. */
export interface BucketEntry {
  readonly key: string;
  /** What the next write has to expect; 0 where there was never anything, or no trace is left. */
  readonly revision: number;
  /** `undefined` where there is nothing: never written, removed, or expired. */
  readonly value: Uint8Array | undefined;
}

/** Conditions of one write. */
export interface PutOptions {
  /** The revision that has to stand at the key. */
  readonly revision: number;
  /** Whole seconds from now until the key expires unless it is written again; for ever if absent. */
  readonly ttl?: number;
}
