/** A store beside which ours is measured. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** The faults that an acknowledged save survives. */
  readonly durability: string;
  /** Saves events to a stream that is at `version`. */
  append(stream: string, version: number, events: readonly PeerEvent[]): Promise<unknown>;
  /** Reads all events of a stream. */
  read(stream: string): Promise<readonly unknown[]>;
}

/** An event as all peers take it. */
export interface PeerEvent {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** The kind of durability that a store is compared in. */
export type Kind = "memory" | "durable";
