import { assert, assertEquals } from "@std/assert";
import {
  effect,
  type Event,
  InMemoryCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessManagerOptions,
  type ProcessReaction,
} from "../../mod.ts";
import { type Act, once } from "../support/acts.ts";
import { spoil } from "../support/nasty.ts";
import { type Bed, DATA, fact, failing, type Hooks } from "./bed.ts";
import { counter } from "./reactors.ts";

type Saw = Event<"Saw", { what: string; list: readonly unknown[] }>;
/** The kinds of inputs that it saw. */
type State = { readonly seen: readonly string[] };
type Options = ProcessManagerOptions<State, Event, Saw>;

/** The events that the library itself adds to the history of one that has run as it should. */
const LEDGER = [
  "CommandIssued",
  "CommandSettled",
  "DeadlineCleared",
  "DeadlineSet",
  "EffectCalled",
  "EffectEnded",
  "EffectStarted",
  "ProcessEnded",
];

/** Issues a command, calls an effect and sets a deadline; ends when all three are back. */
const errand: Process<State, Event, Saw> = {
  name: "errand",
  correlate: ({ actorId }) => actorId.slice("a-".length),
  initialState: () => ({ seen: [] }),
  evolve: ({ seen }, { data: { what } }) => ({ seen: [...seen, what] }),
  react: ({ seen }, input, { now }): ProcessReaction<Saw> => {
    const what = "kind" in input ? input.kind : seen.includes("event") ? "more" : "event";
    const list = "data" in input ? (input.data as typeof DATA).list : [];
    const facts = [{ eventType: "Saw" as const, data: { what, list } }];
    const outcomes = [...seen, what].filter((it) => it !== "event" && it !== "more");
    if (what !== "event") return { facts, done: outcomes.length === 3 };
    return {
      facts,
      commands: [{ actorId: "b-1", command: { by: { version: 1 } }, key: "one" }],
      effects: [{ name: "mail", input: { to: ["all"] } }],
      deadlines: { soon: now },
    };
  },
};

/** Runs a process over two events, of which an act may take one; it has to end as it should. */
async function processes(bed: Bed, act: Act, change: Partial<Options> = {}): Promise<void> {
  const store = await bed.open();
  for (const version of [1, 2]) await store.saveEvent(fact(version));
  const checkpoints = new InMemoryCheckpointStore();
  const inputs: unknown[] = [];
  const mail = effect("mail", (input) => void inputs.push(structuredClone(input)), { delay: 1 });
  const sound: Options = {
    ...{ process: errand, store, checkpoints, from: "start", filter: { category: "a" } },
    ...{ partitions: 1, retry: { attempts: 3, delay: 1 }, onError: () => {} },
    ...{ deciders: { b: counter() }, effects: [mail] },
  };
  const options = { ...sound, ...change };
  let running: Promise<void>;
  {
    await using manager = new ProcessManager(options);
    running = manager.run();
    await Promise.race([isEnded(manager, act.kind === "hangs" ? 300 : 30_000), running]);
  }
  await running;
  // A process that starts later does what was left, and nothing again.
  await using manager = new ProcessManager(act.kind === "hangs" ? sound : options);
  running = manager.run();
  await Promise.race([isEnded(manager, 30_000), running]);
  assertEquals(await manager.parked(), []);
  const history = await store.getEvents("process:errand-1");
  const ledger = history.map(({ eventType }) => eventType).filter((it) => it !== "Saw");
  assertEquals(ledger.toSorted(), LEDGER);
  for (const { data } of history.filter(({ eventType }) => eventType === "Saw") as Saw[]) {
    if (data.what === "event") assertEquals(data.list, DATA.list);
  }
  const target = await store.getEvents("b-1");
  assertEquals(target.map(({ data }) => data), [{ seen: 1 }], "Its command is handled once");
  await manager[Symbol.asyncDispose]();
  await running;
}

async function isEnded(
  manager: ProcessManager<State, Event, Saw>,
  most: number,
): Promise<void> {
  const end = performance.now() + most;
  while (performance.now() < end) {
    const { ended, commands } = await manager.describe("1");
    if (ended !== undefined && commands.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (most > 1_000) throw new Error("The process does not end");
}

/** The process with a function that acts at its first call; one that spoils does so at each. */
function changed<Name extends "correlate" | "initialState" | "evolve" | "react">(
  act: Act,
  name: Name,
): Partial<Options> {
  const sound = errand[name] as (...args: unknown[]) => unknown;
  const spoils = (...args: unknown[]) => {
    const result = structuredClone(sound(...args));
    act.do(...args);
    return result;
  };
  const process = { ...errand, [name]: act.kind === "spoils" ? spoils : once(act, sound) };
  return { process };
}

/** What processes take from their user. */
export const PROCESSES: Hooks = {
  "Process.correlate": (bed, act) => processes(bed, act, changed(act, "correlate")),
  "Process.initialState": (bed, act) => processes(bed, act, changed(act, "initialState")),
  "Process.evolve": (bed, act) => processes(bed, act, changed(act, "evolve")),
  "Process.react": (bed, act) => processes(bed, act, changed(act, "react")),
  "ProcessManagerOptions.onError": (bed, act) => {
    const process = { ...errand, react: once({ ...act, do: failing }, errand.react) };
    // Nobody waits for it.
    const other = act.kind === "hangs" ? { ...act, kind: "gives" } as const : act;
    return processes(bed, other, { process, onError: once(act, () => {}) });
  },
  "DeadlineClock.now()": (bed, act) => processes(bed, act, { clock: clock(act, "now") }),
  "DeadlineClock.wait()": async (bed, act) => {
    const react: typeof errand.react = (state, input, context) => {
      const reaction = errand.react(state, input, context) as ProcessReaction<Saw>;
      const soon = new Date(context.now.getTime() + 50);
      return reaction.deadlines === undefined ? reaction : { ...reaction, deadlines: { soon } };
    };
    const process = { ...errand, react };
    await processes(bed, { ...act, kind: "gives" }, { process, clock: clock(act, "wait") });
  },
  "Effect.run": async (bed, act) => {
    await processes(bed, act, { effects: [{ ...mail(act), retry: RETRY }] });
  },
  "effect": (bed, act) => processes(bed, act, { effects: [effect("mail", mail(act).run, RETRY)] }),
};

const RETRY = { attempts: 3, delay: 1, maxDelay: 1 };

/** An effect that acts when it is first run; the next try gets what the first one was given. */
function mail(act: Act) {
  let calls = 0;
  return {
    name: "mail",
    run: async (input: unknown) => {
      assertEquals(input, { to: ["all"] });
      if (++calls > 1) return await Promise.resolve({ sent: true });
      if (act.kind !== "spoils") return await (act.do(input) as Promise<unknown>);
      spoil(input);
      throw new Error("once");
    },
  };
}

function clock(act: Act, method: "now" | "wait") {
  const own = {
    now: () => Date.now(),
    wait: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()));
      }),
  };
  const sound = own[method] as (...args: unknown[]) => unknown;
  assert(typeof sound === "function");
  return { ...own, [method]: once(act, sound) } as typeof own;
}
