/** The parts that this inspector shows: the answer of `about`. */
export interface AboutView {
  /** The namespace, if the store says it. */
  readonly namespace?: string;
  /** The store's identity. */
  readonly identity: string;
  /** Categories that a decider is registered for: their actors have states. */
  readonly deciders: readonly string[];
  /** Whether `act` does anything: it needs the token then. */
  readonly actions: boolean;
  /** Which views have something to show. */
  readonly views: {
    readonly projections: boolean;
    readonly processes: boolean;
    readonly cluster: boolean;
  };
  /** The bounds of requests: larger limits are taken down to these. */
  readonly limits: {
    readonly actors: number;
    readonly events: number;
    readonly states: number;
    readonly nodes: number;
    readonly processes: number;
    /** Live answers that may be open at once. */
    readonly streams: number;
  };
}
