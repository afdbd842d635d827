import process from "node:process";
import { StringDecoder } from "node:string_decoder";

/** A stream that text goes to. */
export interface Sink {
  /** Whether it is a terminal. */
  readonly isTTY?: boolean;
  /** Writes a text. */
  write(text: string): unknown;
}

/** The outputs of one run; the process's own unless a test gives others. */
export interface Sinks {
  /** For what was asked for. */
  readonly out: Sink;
  /** For progress and errors. */
  readonly err: Sink;
}

/** Prints for people, or JSON lines for programs. */
export class Output {
  /** Whether it prints JSON. */
  readonly json: boolean;
  readonly #sinks: Sinks;
  #progress = 0;
  #shown = false;

  /** Prints to `sinks`. */
  constructor(json: boolean, sinks: Sinks = { out: process.stdout, err: process.stderr }) {
    this.json = json;
    this.#sinks = sinks;
  }

  /** Prints `text`, or with `--json` `value` in a line. */
  item(text: string, value: unknown): void {
    this.#clear();
    this.#sinks.out.write(`${this.json ? shown(value) : text}\n`);
  }

  /** Prints a line for people only. */
  line(text: string): void {
    if (!this.json) this.item(text, undefined);
  }

  /** Prints text as it is, such as an exported line. */
  raw(text: string): void {
    this.#clear();
    this.#sinks.out.write(text);
  }

  /** Prints a line on the error output. */
  error(text: string): void {
    this.#clear();
    this.#sinks.err.write(`${text}\n`);
  }

  /** Shows how far a long work is, on a terminal only and a few times a second at most. */
  progress(text: () => string): void {
    const now = performance.now();
    if (this.#sinks.err.isTTY !== true || now - this.#progress < 250) return;
    this.#progress = now;
    this.#shown = true;
    this.#sinks.err.write(`\r\x1b[K${text()}`);
  }

  /** `text` faint, if people read it on a terminal. */
  faint(text: string): string {
    return this.#colour("2", text);
  }

  /** `text` in red, if people read it on a terminal. */
  red(text: string): string {
    return this.#colour("31", text);
  }

  #colour(code: string, text: string): string {
    const isPlain = this.json || this.#sinks.out.isTTY !== true || process.env.NO_COLOR;
    return isPlain ? text : `\x1b[${code}m${text}\x1b[0m`;
  }

  #clear(): void {
    if (this.#shown) this.#sinks.err.write("\r\x1b[K");
    this.#shown = false;
  }
}

/** The reason why an output failed; `undefined` if its reader has left, as `head` does. */
export function outputFailure(error: Error & { readonly code?: unknown }): string | undefined {
  return error.code === "EPIPE" ? undefined : `Cannot write the output: ${error.message}`;
}

/** Characters that could change what a terminal shows: controls, and those that turn the direction. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** `text` without characters that could change what a terminal shows. */
export function safe(text: string): string {
  return text.replace(UNSAFE, "\ufffd");
}

/** A value in a line of JSON, in which what could change a terminal is escaped. */
export function jsonLine(
  value: unknown,
  replacer?: (this: unknown, key: string, value: unknown) => unknown,
): string {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  // JSON has the C0 controls escaped already, and others only inside of texts.
  return String(JSON.stringify(value, replacer)).replace(UNSAFE, escaped);
}

/** The lines of a stream of bytes in UTF-8. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.write(chunk as never)).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoder.end();
  if (rest !== "") yield rest;
}

/** A value in JSON, for people: also one that JSON would refuse, or show as nothing. */
export function shown(value: unknown): string {
  return jsonLine(value, (_key, item: unknown) => {
    if (typeof item === "bigint") return `${item}n`;
    if (typeof item === "symbol") return item.description;
    if (item instanceof Map || item instanceof Set) return [...item];
    return item;
  });
}
