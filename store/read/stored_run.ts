import { decodeToken, encodeToken } from "../base/token.ts";
import { CorruptEventError } from "../errors.ts";
import type { Commit } from "../event.ts";
import { type Content, contentOf } from "../format/decode.ts";
import { COMMAND, COUNT, ID, INDEX, NONE, OP, SCHEMA, SIZES, TYPE } from "../format/headers.ts";
import { VERSIONS } from "../format/headers.ts";
import { MAX_RUN, type Position, positionOf } from "../format/position.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import { aboutActor, previousOf, versionIn } from "./message_facts.ts";

/** A save that a message holds, or the part of it that the message holds. */
export interface StoredSave extends Commit {
  /** The index in the message of its first event; that of its event in the save is `index`. */
  readonly start: number;
  /** Its events in the message. */
  readonly events: number;
  /** The command that led to it. */
  readonly command: string | undefined;
}

/**
 * The events of one message, as its headers say: versions, ids, types, sizes, saves. No body is
 * looked at. What the headers say is checked when it is asked for; a message whose lists do not
 * add up is unreadable as a whole.
 */
export class StoredRun {
  readonly message: StoredMessage;
  /** How many events there are; 0 in a receipt. */
  readonly count: number;
  readonly #actorId: string | undefined;
  readonly #sizes: readonly number[] | undefined;
  #versions: readonly number[] | undefined;
  #ids: readonly string[] | undefined;
  #types: readonly string[] | undefined;
  #schemas: readonly string[] | undefined;
  #hasSchemas: boolean | undefined;
  #saves: readonly StoredSave[] | undefined;
  #offsets: readonly number[] | undefined;
  #text: string | undefined;

  /**
   * Takes the message, of `actorId` if that is known.
   *
   * @throws {CorruptEventError} Its list of sizes is none.
   */
  constructor(message: StoredMessage, actorId?: string) {
    this.message = message;
    this.#actorId = actorId;
    const sizes = message.header(SIZES);
    if (sizes === "") {
      this.count = message.header(ID) === "" ? 0 : 1;
      return;
    }
    this.#sizes = numbersIn(sizes);
    this.count = this.#sizes.length;
    if (this.count > MAX_RUN) throw this.#corrupt(`it holds ${this.count} events`);
    if (this.#sizes.some(Number.isNaN)) throw this.#corrupt(`its ${SIZES} header is no list`);
  }

  /** The version of its last event; of a receipt, the actor's. */
  get version(): number {
    return versionIn(this.message, this.#actorId);
  }

  /** The version of the actor's event before its first. */
  get previous(): number {
    return previousOf(this.message, this.#actorId);
  }

  /** The position of the event with this index. */
  positionAt(index: number): Position {
    return positionOf(this.message.sequence, index);
  }

  /** The version of the event with this index. */
  versionAt(index: number): number {
    return this.count === 1 ? this.version : this.#versionsIn()[index]!;
  }

  /** The index of the event at this version; `undefined` if there is none. */
  indexOfVersion(version: number): number | undefined {
    if (this.count === 1) return version === this.version ? 0 : undefined;
    const index = this.#versionsIn().indexOf(version);
    return index < 0 ? undefined : index;
  }

  /** The index of the first event at this version or above; the count if there is none. */
  indexFrom(version: number): number {
    if (this.count <= 1) return this.count === 1 && version <= this.version ? 0 : this.count;
    const index = this.#versionsIn().findIndex((it) => it >= version);
    return index < 0 ? this.count : index;
  }

  /** Whether the event with this index has this id. */
  hasIdAt(index: number, id: string): boolean {
    return this.#idsIn()[index] === encodeToken(id);
  }

  /** The id of the event with this index. */
  idAt(index: number): string {
    return this.#decode(ID, this.#idsIn()[index]!, index);
  }

  /** The type of the event with this index. */
  typeAt(index: number): string {
    return this.#decode(TYPE, this.typeTokenAt(index), index);
  }

  /** The same as its header has it. */
  typeTokenAt(index: number): string {
    return this.#typesIn()[index]!;
  }

  /** The schema that the data of the event with this index was saved with. */
  schemaAt(index: number): number {
    // Looked for once: the headers of many events are long.
    this.#hasSchemas ??= this.message.header(SCHEMA) !== "";
    if (!this.#hasSchemas) return 1;
    const schema = Number(this.#schemasIn()[index]);
    if (!Number.isSafeInteger(schema) || schema < 1) {
      throw this.#corrupt(`its ${SCHEMA} header is no schema`, index);
    }
    return schema;
  }

  /** The body of the event with this index. */
  contentAt(index: number): Content {
    if (this.#sizes === undefined) return this.message;
    const { data } = this.message;
    const offsets = this.#offsetsIn(data);
    const [start, end] = [offsets[index]!, offsets[index + 1]!];
    const text = this.#text ??= this.message.text;
    // If each character is one byte, the text is cut as the bytes are.
    if (text.length !== data.length) return contentOf(data.subarray(start, end));
    return {
      get data() {
        return data.subarray(start, end);
      },
      text: text.slice(start, end),
    };
  }

  /** The commit that the event with this index is of. */
  commitAt(index: number): Commit {
    const saves = this.saves;
    const save = saves.length === 1
      ? saves[0]!
      : saves.find(({ start, events }) => index < start + events)!;
    return { op: save.op, index: save.index + index - save.start, count: save.count };
  }

  /** The saves that it holds; a receipt is the outcome of one that has no events. */
  get saves(): readonly StoredSave[] {
    return this.#saves ??= this.#savesIn();
  }

  /**
   * Checks all that the headers say.
   *
   * @throws {CorruptEventError} The lists do not add up.
   */
  check(): void {
    this.checkWhole();
    for (let index = 0; index < this.count; index++) {
      this.idAt(index);
      this.typeAt(index);
      this.schemaAt(index);
    }
  }

  /**
   * Checks what the headers say of the message as a whole: if this holds, each of its events can be
   * read, or not, by itself.
   *
   * @throws {CorruptEventError} The lists do not add up, or something else wrote the message.
   */
  checkWhole(): void {
    void this.version;
    void this.previous;
    if (this.count === 0 && this.message.header(COMMAND) === "") {
      throw this.#corrupt(`it has no ${ID} header, so something else wrote it`);
    }
    void this.saves;
    if (this.count === 0) return;
    if (this.count > 1) this.#versionsIn();
    else if (this.version <= this.previous) throw this.#corrupt("its version does not grow");
    this.#idsIn();
    this.#typesIn();
    if (this.message.header(SCHEMA) !== "") this.#schemasIn();
    if (this.#sizes !== undefined) this.#offsetsIn(this.message.data);
  }

  #savesIn(): StoredSave[] {
    const { message, count } = this;
    const op = message.header(OP);
    const counts = numbersIn(message.header(COUNT));
    const commands = this.#commandsIn(Math.max(1, counts.length));
    if (counts.length <= 1) {
      const index = message.header(INDEX) === "" ? 0 : numberIn(message, INDEX) ?? NaN;
      const whole = counts[0] ?? NaN;
      if (!(index + count <= whole)) throw this.#corrupt(`its ${COUNT} header does not add up`);
      return [{ op, index, count: whole, start: 0, events: count, command: commands[0] }];
    }
    let start = 0;
    const saves = counts.map((events, at) => {
      const command = commands[at];
      const save = { op: `${op}.${at}`, index: 0, count: events, start, events, command };
      start += events;
      return save;
    });
    if (start !== count) throw this.#corrupt(`its ${COUNT} header does not add up`);
    return saves;
  }

  #commandsIn(length: number): readonly (string | undefined)[] {
    const text = this.message.header(COMMAND);
    if (text === "") return [];
    const tokens = text.split(" ");
    if (tokens.length !== length) throw this.#corrupt(`its ${COMMAND} header does not add up`);
    return tokens.map((token) => token === NONE ? undefined : this.#decode(COMMAND, token, 0));
  }

  #idsIn(): readonly string[] {
    return this.#ids ??= this.#listOf(ID);
  }

  #typesIn(): readonly string[] {
    return this.#types ??= this.#listOf(TYPE);
  }

  #schemasIn(): readonly string[] {
    return this.#schemas ??= this.#listOf(SCHEMA);
  }

  #versionsIn(): readonly number[] {
    if (this.#versions !== undefined) return this.#versions;
    const { message, count, version } = this;
    const text = message.header(VERSIONS);
    const versions = text === ""
      ? Array.from({ length: count }, (_, index) => version - count + 1 + index)
      : numbersIn(text);
    let before = this.previous;
    for (const next of versions) {
      if (!(next > before)) throw this.#corrupt("its versions do not grow");
      before = next;
    }
    if (versions.length !== count || before !== version) {
      throw this.#corrupt(`its ${VERSIONS} header does not add up`);
    }
    return this.#versions = versions;
  }

  /** Where each body begins, and where the last one ends. */
  #offsetsIn(data: Uint8Array): readonly number[] {
    if (this.#offsets !== undefined) return this.#offsets;
    const offsets = [0];
    for (const size of this.#sizes!) offsets.push(offsets.at(-1)! + size);
    if (offsets.at(-1) !== data.length) {
      throw this.#corrupt(
        `its ${SIZES} add up to ${offsets.at(-1)}, and its body has ${data.length}`,
      );
    }
    return this.#offsets = offsets;
  }

  #listOf(name: string): readonly string[] {
    const text = this.message.header(name);
    if (this.#sizes === undefined) return [text];
    const list = text.split(" ");
    if (list.length === this.count) return list;
    throw this.#corrupt(`its ${name} header has ${list.length} values for ${this.count} events`);
  }

  #decode(name: string, token: string, index: number): string {
    try {
      return decodeToken(token);
    } catch (cause) {
      throw this.#corrupt(`its ${name} header is no text`, index, { cause });
    }
  }

  /** The error of the event with this index; of the first one if the whole message is wrong. */
  #corrupt(reason: string, index = 0, options?: ErrorOptions): CorruptEventError {
    const about = { ...options, ...aboutActor(this.#actorId) };
    return new CorruptEventError(this.positionAt(index), reason, about);
  }
}

/** Numbers of 0 or more, apart by a space; `NaN` for anything else. */
function numbersIn(text: string): number[] {
  if (text === "") return [];
  return text.split(" ").map((part) => {
    const value = /^\d{1,16}$/.test(part) ? Number(part) : NaN;
    return Number.isSafeInteger(value) ? value : NaN;
  });
}
