import type { Event } from "../event.ts";
import type { EventDecoder, StoredFacts } from "../format/decode.ts";
import type { Position } from "../format/position.ts";
import type { StoredRun } from "./stored_run.ts";

/** Makes events of messages. */
export class EventReader {
  readonly #decoder: EventDecoder;

  /** Decodes bodies with `decoder`. */
  constructor(decoder: EventDecoder) {
    this.#decoder = decoder;
  }

  /** See {@linkcode EventDecoder.end}. */
  end(): void {
    this.#decoder.end();
  }

  /** Whether bodies are JSON as it is: there is no codec. */
  get isPlain(): boolean {
    return this.#decoder.isPlain;
  }

  /** The newest schema of this type that is known here. */
  newestOf(eventType: string): number {
    return this.#decoder.newestOf(eventType);
  }

  /**
   * The event of `actorId` with this index in its message; a promise only if the codec takes its
   * time.
   *
   * @throws {CorruptEventError} It is no event, or another actor's.
   */
  eventAt(run: StoredRun, index: number, actorId: string): Event | Promise<Event> {
    return this.#decoder.decode(run.contentAt(index), new RunFacts(run, index, actorId));
  }
}

/** The facts in a message about an event in it, beside its content. */
class RunFacts implements StoredFacts {
  readonly actorId: string;
  readonly version: number;
  readonly schema: number;
  readonly #run: StoredRun;
  readonly #index: number;

  constructor(run: StoredRun, index: number, actorId: string) {
    this.#run = run;
    this.#index = index;
    this.actorId = actorId;
    this.version = run.versionAt(index);
    this.schema = run.schemaAt(index);
  }

  get sequence(): Position {
    return this.#run.positionAt(this.#index);
  }

  rest(): Pick<Event, "id" | "eventType" | "timestamp"> {
    return {
      id: this.#run.idAt(this.#index),
      eventType: this.#run.typeAt(this.#index),
      timestamp: new Date(this.#run.message.time),
    };
  }
}
