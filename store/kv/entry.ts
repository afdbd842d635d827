/** A key and its current value. */
export interface BucketEntry {
  readonly key: string;
  /** What the next write has to expect; 0 if the key has neither an entry nor a marker. */
  readonly revision: number;
  /** `undefined` if there is none: never written, removed, or expired. */
  readonly value: Uint8Array | undefined;
  /** How the last value went, as far as its marker is still there. */
  readonly gone?: KeyEnd | undefined;
}

/** How the value of a key went: its time was over, its writer removed it, or somebody else did. */
export type KeyEnd = "expired" | "released" | "removed";

/** Conditions of one write. */
export interface PutOptions {
  /** The revision that the key has to be at. */
  readonly revision: number;
  /** Whole seconds from now until the key expires unless it is written again; never if absent. */
  readonly ttl?: number;
}
