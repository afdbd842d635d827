/**
 * Effects outside: begun once, tried again while the program lives, unknown after it died.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type CheckpointStore,
  type DeadlineClock,
  type Effect,
  effect,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessReaction,
  ProjectionLeases,
} from "../../../mod.ts";
import { runEffect } from "../../../store/process/effect.ts";
import { natsTest } from "../../support/fixture.ts";
import { both, place, Run, typesOf, until } from "./bed.ts";

type Placed = Event<"OrderPlaced", { pieces: number }>;
type Noted = Event<"Noted", string>;

const mailing: Process<readonly string[], Placed, Noted> = {
  name: "mailing",
  correlate: ({ actorId }) => actorId,
  initialState: () => [],
  evolve: (notes, { data }) => [...notes, data],
  react: (_notes, input): ProcessReaction<Noted> => {
    if (!("kind" in input)) {
      return { effects: [{ name: "mail", input: { to: input.actorId }, key: "thanks" }] };
    }
    assert(input.kind === "effect");
    const { name, key, outcome, result, failure } = input;
    const data = `${name} ${key} ${outcome} ${JSON.stringify(result)} ${failure?.message}`;
    return { facts: [{ eventType: "Noted", data }], done: outcome === "done" };
  },
};

function manage(
  { store, checkpoints }: { store: EventStore; checkpoints: CheckpointStore },
  mail: Effect,
  clock?: DeadlineClock,
  leases?: ProjectionLeases,
): ProcessManager<readonly string[], Placed, Noted> {
  return new ProcessManager<readonly string[], Placed, Noted>({
    ...{ process: mailing, store, checkpoints, from: "start", partitions: 2, effects: [mail] },
    ...{ filter: { category: "order" }, retry: { attempts: 1 } },
    onError: () => {},
    ...(clock && { clock }),
    ...(leases && { leases }),
  });
}

async function notes(manager: ReturnType<typeof manage>): Promise<readonly string[]> {
  return (await manager.describe("order-1")).state ?? [];
}

both("an effect is tried again under one key, and its result is an input", async (bed) => {
  await place(bed.store, "order-1");
  const keys: string[] = [];
  const mail = effect("mail", ({ to }: { to: string }, { idempotencyKey }) => {
    keys.push(idempotencyKey);
    if (keys.length < 3) throw new Error("busy");
    return { sent: to };
  }, { delay: 1 });
  {
    const manager = manage(bed, mail);
    await using _run = new Run(manager);
    await until(async () => (await notes(manager)).length === 1);
    assertEquals(await notes(manager), ['mail thanks done {"sent":"order-1"} undefined']);
    assertEquals((await manager.describe("order-1")).effects, []);
  }
  assertEquals([keys.length, new Set(keys).size], [3, 1]);
  assertEquals(await typesOf(bed.store, "process:mailing-order-1"), [
    ...["EffectCalled", "EffectStarted", "EffectEnded", "Noted", "ProcessEnded"],
  ]);
  // Delivered again, to a program that knows nothing.
  const own = { store: await bed.open(), checkpoints: new InMemoryCheckpointStore() };
  await using run = new Run(manage(own, mail));
  await run.of.caughtUp;
  await until(async () => (await notes(run.of)).length === 1);
  assertEquals(keys.length, 3);
});

both("an effect that fails for the last time is an input too", async (bed) => {
  await place(bed.store, "order-1");
  const mail = effect("mail", () => Promise.reject(new Error("no such address")), {
    attempts: 2,
    delay: 1,
  });
  const manager = manage(bed, mail);
  await using _run = new Run(manager);
  await until(async () => (await notes(manager)).length === 1);
  assertEquals(await notes(manager), ["mail thanks failed null no such address"]);
});

both("an effect whose program died is unknown, and not begun again", async (bed) => {
  await place(bed.store, "order-1");
  let begun = 0;
  const started = Promise.withResolvers<void>();
  const mail = effect("mail", async (_input, { signal }) => {
    begun++;
    started.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new Error("the program dies");
  });
  {
    const manager = manage(bed, mail);
    await using _run = new Run(manager);
    await started.promise;
    const { effects: [open] } = await manager.describe("order-1");
    assertEquals([open?.name, open?.started], ["mail", true]);
  }
  const manager = manage({ store: await bed.open(), checkpoints: bed.checkpoints }, mail);
  await using _run = new Run(manager);
  await until(async () => (await notes(manager)).length === 1);
  assertEquals(await notes(manager), ["mail thanks unknown null undefined"]);
  assertEquals(begun, 1);
});

both(
  "an effect whose program died is unknown also where its next one has it no more",
  async (bed) => {
    await place(bed.store, "order-1");
    const started = Promise.withResolvers<void>();
    const mail = effect("mail", async (_input, { signal }) => {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw new Error("the program dies");
    });
    {
      await using _run = new Run(manage(bed, mail));
      await started.promise;
    }
    const other = effect("other", () => null);
    const manager = manage({ store: await bed.open(), checkpoints: bed.checkpoints }, other);
    await using _run = new Run(manager);
    await until(async () => (await notes(manager)).length === 1);
    assertEquals(await notes(manager), ["mail thanks unknown null undefined"]);
  },
);

both("an effect that ends while its program stops is not lost", async (bed) => {
  await place(bed.store, "order-1");
  const started = Promise.withResolvers<void>();
  const mail = effect("mail", async (_input, { signal }) => {
    started.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "just in time";
  });
  const manager = manage(bed, mail);
  {
    await using _run = new Run(manager);
    await started.promise;
  }
  const after = manage({ store: await bed.open(), checkpoints: bed.checkpoints }, mail);
  assertEquals(await notes(after), ['mail thanks done "just in time" undefined']);
});

/** Resolves a moment after `signal` is aborted. */
async function soonAfter(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await new Promise((resolve) => setTimeout(resolve, 100));
}

both(
  "an effect that ends well while its manager is paused and resumed is not unknown",
  async (bed) => {
    await place(bed.store, "order-1");
    const started = Promise.withResolvers<void>();
    const mail = effect("mail", async (_input, { signal }) => {
      started.resolve();
      await soonAfter(signal);
      return "just in time";
    });
    const manager = manage(bed, mail);
    await using _run = new Run(manager);
    await started.promise;
    await manager.pause();
    await manager.resume();
    await until(async () => (await notes(manager)).length === 1);
    assertEquals(await notes(manager), ['mail thanks done "just in time" undefined']);
  },
);

natsTest(
  "an effect that ends well while another program takes over is not unknown",
  async (scene) => {
    const { namespace } = scene;
    await using stack = new AsyncDisposableStack();
    const started = Promise.withResolvers<void>();
    const mail = effect("mail", async (_input, { signal }) => {
      started.resolve();
      await soonAfter(signal);
      return "just in time";
    });
    const program = async () => {
      const connection = await scene.connect();
      const store = stack.use(await JetStreamEventStore.open(connection, { namespace }));
      const checkpoints = stack.use(await KvCheckpointStore.open(connection, { namespace }));
      const leases = stack.use(await ProjectionLeases.open(connection, { namespace }));
      return { store, run: new Run(manage({ store, checkpoints }, mail, undefined, leases)) };
    };
    const [one, other] = [await program(), await program()];
    await place(one.store, "order-1");
    await started.promise;
    // Whichever has it: the other one takes over, or is not in time to.
    await one.run[Symbol.asyncDispose]();
    await until(async () => (await notes(other.run.of)).length === 1);
    assertEquals(await notes(other.run.of), ['mail thanks done "just in time" undefined']);
    await other.run[Symbol.asyncDispose]();
  },
);

both(
  "the end of an effect is not lost when its program stops while it is being stored",
  async (bed) => {
    await place(bed.store, "order-1");
    let stopping: AbortSignal | undefined;
    const stopped = Promise.withResolvers<void>();
    let disposing: Promise<void> | undefined;
    const mail = effect("mail", (_input, { signal }) => {
      stopping = signal;
      return "in good time";
    });
    const clock: DeadlineClock = {
      // It is asked for the time of each input that is stored.
      async now() {
        if (stopping !== undefined && disposing === undefined) {
          stopping.addEventListener("abort", () => stopped.resolve(), { once: true });
          disposing = manager[Symbol.asyncDispose]();
          await stopped.promise;
        }
        return Date.now();
      },
      wait: (_ms, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
    };
    const manager = manage(bed, mail, clock);
    {
      await using _run = new Run(manager);
      await stopped.promise;
      await disposing;
    }
    const after = manage({ store: await bed.open(), checkpoints: bed.checkpoints }, mail);
    assertEquals(await notes(after), ['mail thanks done "in good time" undefined']);
  },
);

Deno.test("an effect that begins when its program has stopped holds it up for a moment only", async () => {
  const signal = AbortSignal.abort(new Error("stopped"));
  const endless = effect("endless", () => new Promise(() => {}));
  const context = { idempotencyKey: "key", signal };
  await assertRejects(() => runEffect(endless, null, context, () => {}), Error, "stopped");
});

Deno.test("effect() refuses a retry that is out of its range", () => {
  const none = () => null;
  for (const attempts of [NaN, 0, -1, 1.5, "5" as unknown as number]) {
    assertThrows(() => effect("mail", none, { attempts }), RangeError, 'effect "mail"');
  }
  for (const wait of [NaN, -1, Infinity]) {
    assertThrows(() => effect("mail", none, { delay: wait }), RangeError, "delay is");
    assertThrows(() => effect("mail", none, { maxDelay: wait }), RangeError, "maxDelay is");
  }
  assertEquals(effect("mail", none, { attempts: Infinity }).retry.attempts, Infinity);
});

both("control: without its start stored an effect is done twice", async (bed) => {
  await place(bed.store, "order-1");
  let done = 0;
  for (const dies of [true, false]) {
    if ((await typesOf(bed.store, "naive-1")).length > 0) break;
    done++;
    if (dies) continue;
    await place(bed.store, "naive-1");
  }
  assertEquals(done, 2);
});
