import { assertEquals } from "@std/assert";
import { Child } from "../../support/child.ts";

/** The results of the commands of one process. */
export interface WorkReport {
  readonly refusals: readonly string[];
  /** The time of one command, in ms. */
  readonly slowest: number;
  /** The time of all, in ms. */
  readonly elapsed: number;
}

const SCRIPT = new URL("./execute_worker.ts", import.meta.url);

/** A process that runs commands on one actor; see `execute_worker.ts`. */
export class Worker extends Child implements AsyncDisposable {
  /** Starts it; it waits for {@linkcode Worker.run}. */
  constructor(...args: (string | number)[]) {
    super(SCRIPT, args.map(String));
  }

  /** Resolves when it is connected. */
  async ready(): Promise<void> {
    assertEquals(await this.line(), "ready");
  }

  /** Runs its commands. */
  async run(): Promise<WorkReport> {
    await this.tell("go");
    return JSON.parse(await this.line());
  }

  /** Waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    assertEquals((await this.end()).code, 0);
    assertEquals(await this.next(), undefined);
  }
}

/** Runs `processes` at once, when all of them are ready. */
export async function together(processes: readonly Worker[]): Promise<WorkReport[]> {
  await Promise.all(processes.map((process) => process.ready()));
  return await Promise.all(processes.map((process) => process.run()));
}
