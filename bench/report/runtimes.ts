/** The same work on Deno and on Node, each in a process of its own beside one server. */
import { join } from "node:path";
import { NatsServer } from "../../tools/nats_server.ts";
import {
  constraintOf,
  emptyPackage,
  installNode,
  npmInstall,
  pack,
} from "../../tools/node_smoke.ts";
import { ROOT } from "../../tools/root.ts";
import type { Chapter, Comparison, Context } from "./chapter.ts";
import type { Way } from "./measure.ts";

const WORKER = join(ROOT, "bench", "report", "runtime_worker.ts");

export const runtimes: Chapter = {
  name: "runtimes",
  async run(context) {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await NatsServer.start());
    const config = ["--config", join(ROOT, "deno.json")];
    const workers = [
      stack.use(await Worker.start(Deno.execPath(), ["run", "-A", ...config, WORKER], server)),
    ];
    // Packing and installing take longer than a short run has.
    if (!context.short) {
      const { node, program } = await installed(context, stack);
      workers.push(stack.use(await Worker.start(node, [program], server)));
    }
    const comparisons: Comparison[] = [];
    for (const work of workers[0]!.work) {
      const ways: Way[] = [];
      for (const worker of workers) {
        const { ops } = await worker.run(work);
        ways.push({ name: worker.runtime, ops, run: async () => (await worker.run(work)).ms });
      }
      comparisons.push(await context.compare(work, ways));
    }
    return [{
      title: "Deno and Node",
      about: "The same program on both, each in a process of its own beside the same server; on " +
        "Node the package as npm installs it.",
      comparisons,
      charts: [{
        file: "runtimes",
        title: "Times as fast as Deno",
        x: "work",
        y: "times as fast",
        mark: "bar",
        points: comparisons.flatMap(({ work, ways }) =>
          ways.map(({ name, speed }) => ({ x: work, y: speed?.p50 ?? 1, way: name }))
        ),
      }],
    }];
  },
};

/** The newest Node, and the program beside the packed package. */
async function installed(context: Context, stack: AsyncDisposableStack) {
  context.say("the package is packed and installed for Node");
  const work = await Deno.makeTempDir({ prefix: "aether-runtimes-" });
  stack.defer(() => Deno.remove(work, { recursive: true }));
  const app = join(work, "app");
  await emptyPackage(app);
  const [node] = await Promise.all([installNode("latest", work), pack(work)]);
  const twins = ["nats-core", "jetstream", "kv"].map((name) =>
    `@jsr/nats-io__${name}@npm:@nats-io/${name}@${constraintOf(`@nats-io/${name}`)}`
  );
  const dial = `@nats-io/transport-node@${constraintOf("@nats-io/transport-node")}`;
  await npmInstall(app, ["@flowmade-one/aether@file:../package.tgz", ...twins, dial]);
  const program = join(app, "worker.ts");
  await Deno.copyFile(WORKER, program);
  return { node, program };
}

/** A process that does work when it is asked to. */
class Worker implements AsyncDisposable {
  /** The names of what it can do. */
  readonly work: readonly string[];
  /** The runtime and its version. */
  readonly runtime: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncIterator<string>,
    { runtime, work }: { runtime: string; work: readonly string[] },
  ) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#lines = lines;
    this.runtime = runtime;
    this.work = work;
  }

  /** Starts `program`, which works on `server`. */
  static async start(program: string, args: string[], server: NatsServer): Promise<Worker> {
    const child = new Deno.Command(program, {
      args,
      env: { NATS_URL: server.url, NODE_NO_WARNINGS: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = linesOf(child.stdout);
    return new Worker(child, lines, JSON.parse(await next(lines)));
  }

  /** Does some work; gives how long it took, in ms, and how many operations it was. */
  async run(work: string): Promise<{ ms: number; ops: number }> {
    await this.#input.write(new TextEncoder().encode(`${work}\n`));
    return JSON.parse(await next(this.#lines));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    for (;;) if ((await this.#lines.next()).done) break;
    await this.#child.status;
  }
}

async function next(lines: AsyncIterator<string>): Promise<string> {
  const { done, value } = await lines.next();
  if (done) throw new Error("Cannot go on: the worker has ended");
  return value;
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
