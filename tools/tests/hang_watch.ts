/** Ends a process of `deno test` in which no test ends any more: one that hangs would hold up the whole run. */
import { endChild } from "./end_child.ts";

/** How long a process may take to end once it was asked to, in ms. */
const GRACE = 5_000;

/** Watches one process by what it prints. */
export class HangWatch {
  readonly #child: Deno.ChildProcess;
  readonly #limit: number;
  readonly #tests = new TestsUnderWay();
  #hasEnded = false;
  #timer: ReturnType<typeof setTimeout>;
  #note: string | undefined;

  /** Starts to watch `child`, which is ended once no test has ended for `limit` ms. */
  constructor(child: Deno.ChildProcess, limit: number) {
    this.#child = child;
    this.#limit = limit;
    this.#timer = this.#start();
  }

  /** The message about the process that was ended; `undefined` if it was not. */
  get note(): string | undefined {
    return this.#note;
  }

  /** The process has printed something to its standard output. */
  hears(text: string): void {
    const isProgress = this.#tests.read(text);
    // Output may come after the end, where a timer would keep our own process alive.
    if (!isProgress || this.#hasEnded || this.#note !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  /** The process has ended. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  #start(): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#note = `No test ended for ${this.#limit / 1_000} s, so the file was ended: ` +
        (this.#tests.name ? `"${this.#tests.name}" was under way` : "no test was under way");
      endChild(this.#child, "SIGTERM");
      this.#timer = setTimeout(() => endChild(this.#child, "SIGKILL"), GRACE);
    }, this.#limit);
  }
}

/** Knows from the output of `deno test` which tests and steps have begun and not ended. */
export class TestsUnderWay {
  readonly #names: string[] = [];
  #line = "";

  /** The test that is under way and its steps, as `test > step`; empty if there is none. */
  get name(): string {
    const [, last] = BEGUN.exec(this.#line) ?? []; // the line may end with the test only
    return [...this.#names, ...(last === undefined ? [] : [last])].join(" > ");
  }

  /** Reads on; gives whether a test or a step has ended. */
  read(text: string): boolean {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop()!;
    let ended = false;
    for (const line of lines) {
      const [, begun] = BEGUN.exec(line) ?? [];
      if (begun !== undefined) this.#names.push(begun);
      const [, done] = DONE.exec(line) ?? [];
      if (done === undefined) continue;
      ended = true;
      if (this.#names.includes(done)) this.#names.length = this.#names.lastIndexOf(done);
    }
    return ended;
  }
}

/**
 * A test that has printed something, has steps, or has run for a minute, ends on another line than it
 * begins.
 */
const BEGUN = /^ *(.+) \.\.\. ?(?:'.+' has been running for over \(\w+\))?$/;
const DONE = /^ *(.+) \.\.\. (?:ok|FAILED|ignored)\b/;
