/** The body of a request for `act`. */
export type ActionRequest =
  | { readonly on: "projection"; readonly name: string; readonly action: "pause" | "resume" }
  /** Tries the waiting events of a parked actor again. */
  | {
    readonly on: "projection";
    readonly name: string;
    readonly action: "unpark";
    readonly actorId: string;
  }
  /** Passes over a message that belongs to no actor, for good. */
  | {
    readonly on: "projection";
    readonly name: string;
    readonly action: "skip";
    readonly sequence: number;
  }
  /** Builds a new version beside the one that runs; answers once it has begun. */
  | { readonly on: "projection"; readonly name: string; readonly action: "rebuild" }
  | { readonly on: "process"; readonly name: string; readonly action: "pause" | "resume" }
  /** Lets a parked process go on. */
  | {
    readonly on: "process";
    readonly name: string;
    readonly action: "retry";
    readonly id: string;
  }
  /** Ends a process by hand. */
  | {
    readonly on: "process";
    readonly name: string;
    readonly action: "end";
    readonly id: string;
    readonly reason?: string;
  };

/** The answer of `act`. */
export interface ActionView {
  /** `"done"`; `"begun"` if it goes on by itself; `"again"` if an event has failed again. */
  readonly outcome: "done" | "begun" | "again";
  /** The outcome in a sentence. */
  readonly message: string;
}
