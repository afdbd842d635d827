/** Asks an inspector as its page does. */
import { inspector } from "../../inspector/mod.ts";
import type { InspectorParts } from "../../inspector/mod.ts";

/** The token of tests. */
export const TOKEN = "a-token-of-tests-that-is-long-enough";

/** One message of a live answer. */
export interface Message {
  readonly name: string;
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}

/** An inspector, and a way to ask it. */
export class Desk {
  readonly handler: (request: Request) => Promise<Response>;

  constructor(parts: InspectorParts) {
    this.handler = inspector(parts);
  }

  /** The answer of `/api/<name>`. */
  post(name: string, body: unknown = {}, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("content-type", "application/json");
    const request = { method: "POST", body: JSON.stringify(body), ...init, headers };
    return this.handler(new Request(`http://localhost/api/${name}`, request));
  }

  /** A view, which has to be there. */
  // deno-lint-ignore no-explicit-any
  async view<View = any>(name: string, body: unknown = {}): Promise<View> {
    const answer = await this.post(name, body);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return await answer.json();
  }

  /** Does something, with the token; gives the status and the body. */
  async act(body: unknown): Promise<[number, Record<string, unknown>]> {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const answer = await this.post("act", body, { headers });
    return [answer.status, await answer.json()];
  }

  /** A live answer, which has to be there. */
  async live(name: string, body: unknown = {}): Promise<Live> {
    const abort = new AbortController();
    const answer = await this.post(name, body, { signal: abort.signal });
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return new Live(answer, abort);
  }
}

/** A live answer, read a message at a time. */
export class Live implements AsyncDisposable {
  readonly #abort: AbortController;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(answer: Response, abort: AbortController) {
    this.#abort = abort;
    this.#reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next message; `undefined` at the end. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end < 0) {
        const { value, done } = await this.#reader.read();
        if (done) return undefined;
        this.#text += value;
        continue;
      }
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (name !== undefined) return { name, data: JSON.parse(data!) };
    }
  }

  /** The first message that is of this name, and passes. */
  // deno-lint-ignore no-explicit-any
  async find(name: string, isWanted: (data: any) => boolean = () => true): Promise<any> {
    for (;;) {
      const message = await this.next();
      if (message === undefined) throw new Error(`There is no more ${name}`);
      if (message.name === name && isWanted(message.data)) return message.data;
      if (message.name === "problem") throw new Error(message.data.detail);
    }
  }

  /** All messages up to the end. */
  async rest(): Promise<Message[]> {
    const all: Message[] = [];
    for (let next = await this.next(); next; next = await this.next()) all.push(next);
    return all;
  }

  /** Goes, as a closed page does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reader.cancel().catch(() => {}); // The abort may have ended it.
  }
}
