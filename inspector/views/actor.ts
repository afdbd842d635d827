import type { Time } from "./time.ts";

/** The body of a request for `actor`: a page of its events. */
export interface ActorQuery {
  readonly actorId: string;
  /** Lowest version wanted. @default {1} */
  readonly fromVersion?: number;
  /** Highest version wanted. @default {no bound} */
  readonly toVersion?: number;
  /** Ascending versions, or descending ones. @default {"forwards"} */
  readonly direction?: "forwards" | "backwards";
  /** How many events; a page ends earlier where they are large. @default {100} */
  readonly limit?: number;
}

/** A page of an actor's events: the answer of `actor`. */
export interface ActorView {
  readonly actorId: string;
  readonly category: string;
  /** Its latest version; 0 if there is no such actor. */
  readonly version: number;
  /** Whether `states` has an answer for it: a decider is registered for its category. */
  readonly hasStates: boolean;
  /** The process whose history it is, if it is one. */
  readonly process?: { readonly name: string; readonly id: string };
  /** In the order that was asked for. */
  readonly events: readonly EventView[];
  /** Where the next page begins: `fromVersion` forwards, `toVersion` backwards; absent on the last. */
  readonly next?: number;
}

/** An event as it is read, and as it is stored. */
export interface EventView {
  /** Position in the store; absent where the store does not say it. */
  readonly sequence?: number;
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** When it happened, by its writer's clock; absent if it cannot be read. */
  readonly timestamp?: Time;
  /** Its data in the newest shape: after upcasting; absent if it cannot be read. */
  readonly data?: unknown;
  /** Why it cannot be read. */
  readonly error?: string;
  /** All metadata: `correlationId`, `causationId`, `userId`, the user's own. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The events that were saved together with it. */
  readonly commit?: { readonly op: string; readonly index: number; readonly count: number };
  /** The id of the command that led to it, if it had one. */
  readonly commandId?: string;
  /** How it is stored; absent where the store does not show it. */
  readonly stored?: StoredView;
}

/** An event as it is stored: before upcasting. */
export interface StoredView {
  /** The schema it was saved with. */
  readonly schema: number;
  /** The newest schema that this process's upcasters know; equal to `schema` if nothing is upcast. */
  readonly newest: number;
  /** Its data as it was saved, if the body is JSON, and if it is not the same as it is read. */
  readonly data?: unknown;
  /** The body as text where it is no JSON of ours, such as a codec's: at most 4,096 characters. */
  readonly text?: string;
  /** Bytes of the body. */
  readonly bytes: number;
  /** When the server stored it. */
  readonly at?: Time;
  /** The server's number of its message: what `nats stream get` takes. */
  readonly message?: number;
  /** The subject of its message. */
  readonly subject?: string;
}
