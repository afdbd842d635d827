import { type Match, type MsgHdrs, MsgHdrsImpl } from "@nats-io/nats-core";
import { utf8 } from "../base/utf8.ts";

/**
 * The headers of an outgoing message, kept as the lines that are sent. The class of nats.js, a map
 * of lists that checks every value, takes more time and memory than the rest of the message; this
 * one parses the lines only if somebody looks at them on their way.
 */
export class HeaderLines implements MsgHdrs {
  readonly code = 0;
  readonly description = "";
  readonly hasError = false;
  readonly status = "0";
  #lines = "NATS/1.0\r\n";
  #apart: MsgHdrsImpl | undefined;

  /** Adds one. Its values are tokens, numbers and subjects, which cannot break out of their line. */
  add(name: string, value: string | number): void {
    this.#lines += `${name}: ${value}\r\n`;
  }

  /** Characters of the lines so far. */
  get length(): number {
    return this.#lines.length;
  }

  /** The bytes that are sent. */
  encode(): Uint8Array {
    return this.#apart?.encode() ?? utf8(`${this.#lines}\r\n`);
  }

  get(name: string, match?: Match): string {
    return this.#open().get(name, match);
  }

  set(name: string, value: string, match?: Match): void {
    const isNew = this.#apart === undefined && match === undefined &&
      !this.#lines.includes(`\r\n${name}:`);
    if (isNew) this.add(name, MsgHdrsImpl.validHeaderValue(value));
    else this.#open().set(name, value, match);
  }

  append(name: string, value: string, match?: Match): void {
    this.#open().append(name, value, match);
  }

  has(name: string, match?: Match): boolean {
    return this.#open().has(name, match);
  }

  keys(): string[] {
    return this.#open().keys();
  }

  values(name: string, match?: Match): string[] {
    return this.#open().values(name, match);
  }

  delete(name: string, match?: Match): void {
    this.#open().delete(name, match);
  }

  last(name: string, match?: Match): string {
    return this.#open().last(name, match);
  }

  [Symbol.iterator](): Iterator<[string, string[]]> {
    return this.#open()[Symbol.iterator]();
  }

  #open(): MsgHdrs {
    return this.#apart ??= MsgHdrsImpl.decode(this.encode());
  }
}
