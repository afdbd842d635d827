/** Talks to the API: JSON in, JSON or a stream of events out, ids in bodies only. */

/** Why a request failed, in the words of the answer. */
export class Problem extends Error {
  /** The answer's status; 0 if there was none. */
  readonly status: number;

  /** Keeps the status and what the answer said. */
  constructor(status: number, message: string) {
    super(message);
    this.name = "Problem";
    this.status = status;
  }
}

/** The parts of a request beside its body. */
export interface RequestOptions {
  readonly signal?: AbortSignal;
}

/** The API behind this page, with the token that the user has entered. */
export class Api {
  /** Kept in memory alone: a reload forgets it. */
  token: string | undefined;
  readonly #base = `${location.pathname.replace(/\/?$/, "/")}api/`;

  /** Asks `route` and gives its answer. */
  async post<T>(route: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return await (await this.#send(route, body, options)).json();
  }

  /** Asks `route` and hands each message of its stream to `on`; resolves when the stream ends. */
  async stream(
    route: string,
    body: unknown,
    on: (name: string, data: never) => void,
    options: RequestOptions = {},
  ): Promise<void> {
    const answer = await this.#send(route, body, options);
    const texts = answer.body!.pipeThrough(new TextDecoderStream());
    const reader = texts.getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const message = messageIn(block);
        if (message === undefined) continue;
        if (message.name === "problem") throw problemIn(message.data);
        on(message.name, message.data as never);
      }
    }
  }

  async #send(route: string, body: unknown, { signal }: RequestOptions): Promise<Response> {
    const answer = await fetch(`${this.#base}${route}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
      },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      ...(signal && { signal }),
    }).catch((error) => {
      if (signal?.aborted) throw error;
      throw new Problem(0, "The inspector does not answer: see whether its process still runs");
    });
    if (answer.ok) return answer;
    throw problemIn(await answer.json().catch(() => ({})), answer.status);
  }
}

/** The message in a block of a stream; `undefined` for a heartbeat. */
function messageIn(block: string): { readonly name: string; readonly data: unknown } | undefined {
  let [name, data] = ["message", ""];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  return data === "" ? undefined : { name, data: JSON.parse(data) };
}

function problemIn(body: unknown, status = 0): Problem {
  const { title, detail, status: own = status } = (body ?? {}) as {
    readonly title?: string;
    readonly detail?: string;
    readonly status?: number;
  };
  return new Problem(own, detail ?? title ?? `The inspector answered with status ${own}`);
}

/** An error as a sentence. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
