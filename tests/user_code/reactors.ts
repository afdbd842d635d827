import { assert, assertEquals } from "@std/assert";
import {
  type Event,
  InMemoryCheckpointStore,
  type OutgoingDecider,
  type Reaction,
  Reactor,
  type ReactorOptions,
  type RefusedCommand,
  type SendCommand,
} from "../../mod.ts";
import { type Act, once } from "../support/acts.ts";
import { spoil } from "../support/nasty.ts";
import { type Bed, DATA, fact, failing, type Hooks } from "./bed.ts";

type Command = { readonly by: { readonly version: number } };
type Options = ReactorOptions<Event>;

/** Counts commands; refuses those that `refuses` names. */
export function counter(refuses?: number) {
  return {
    initialState: () => ({ count: 0 }),
    evolve: ({ count }: { count: number }, _event: Event) => ({ count: count + 1 }),
    decide: ({ by: { version } }: Command, _state: { count: number }) => {
      if (version === refuses) throw new RangeError("not this one");
      return { eventType: "Counted", data: { seen: version } };
    },
  };
}

const commandOf = ({ version }: Event): Command => ({ by: { version } });

/** How a run is judged. */
interface Expected {
  /** The events whose commands may be missing in the target. */
  readonly mayMiss?: readonly number[];
}

/** Runs a reactor over three events: each has its command handled once, whatever the hooks do. */
async function reacts(
  bed: Bed,
  act: Act,
  change: Partial<Options>,
  { mayMiss = [] }: Expected = {},
): Promise<void> {
  const store = await bed.open();
  for (const version of [1, 2, 3]) await store.saveEvent(fact(version));
  const decider = counter();
  const sound: Options = {
    ...{ name: "r", store, from: "start", filter: { category: "a" }, partitions: 1 },
    ...{ checkpoints: new InMemoryCheckpointStore(), retry: { attempts: 3, delay: 1 } },
    onError: () => {},
    react: (event) => {
      assertEquals(event.data, DATA);
      return { actorId: "b-1", command: commandOf(event), decider };
    },
  };
  const versions = async () =>
    (await store.getEvents("b-1")).map(({ data }) => (data as { seen: number }).seen);
  const run = async (options: Options, isCut: boolean) => {
    await using reactor = new Reactor(options);
    const running = reactor.run();
    running.catch(() => {}); // Awaited below.
    if (isCut) await act.begun;
    else {
      await Promise.race([reactor.caughtUp, running]);
      assertEquals(await reactor.parked(), []);
    }
    await reactor[Symbol.asyncDispose]();
    await running;
  };
  await run({ ...sound, ...change }, act.kind === "hangs");
  if (act.kind !== "hangs") {
    const handled = await versions();
    assertEquals([1, 2, 3].filter((it) => !handled.includes(it) && !mayMiss.includes(it)), []);
  }
  // The same events again lead to the same commands, which are recognised.
  await run({ ...sound, checkpoints: new InMemoryCheckpointStore() }, false);
  const handled = await versions();
  assertEquals(handled.toSorted(), [1, 2, 3].filter((it) => handled.includes(it)));
  assertEquals([1, 2, 3].filter((it) => !handled.includes(it) && !mayMiss.includes(it)), []);
}

/** A reactor whose decider has a function that acts at its first call; spoiling ones at each. */
async function decides(bed: Bed, act: Act, name: keyof ReturnType<typeof counter>): Promise<void> {
  const own = counter();
  const sound = own[name] as (...args: unknown[]) => unknown;
  const spoils = (...args: unknown[]) => {
    const result = structuredClone(sound(...args));
    act.do(...args);
    return result;
  };
  const decider: OutgoingDecider = {
    ...own,
    [name]: act.kind === "spoils" ? spoils : once(act, sound),
  };
  const isRefusal = name === "decide" && (act.kind === "throws" || act.kind === "rejects");
  const refused: RefusedCommand[] = [];
  await reacts(bed, act, {
    react: (event) => ({ actorId: "b-1", command: commandOf(event), decider }),
    onRefused: (it) => void refused.push(it),
  }, { mayMiss: isRefusal ? [1] : [] });
  // What it throws is its refusal, told once.
  assertEquals(refused.map(({ command }) => command), isRefusal ? [{ by: { version: 1 } }] : []);
  for (const { failure } of refused) {
    assert(failure.message.length <= 1_000 && typeof failure.name === "string");
  }
}

/** What reactors take from their user. */
export const REACTORS: Hooks = {
  "ReactorOptions.react": async (bed, act) => {
    if (act.kind === "hangs") return; // It holds its partition, as a handler does.
    const decider = counter();
    const sound = (event: Event): Reaction => ({
      actorId: "b-1",
      command: commandOf(event),
      decider,
    });
    const react = act.kind !== "spoils" ? once(act, sound) : (event: Event) => {
      const reaction = sound(event);
      spoil(event);
      return reaction;
    };
    const isNothing = act.name === "gives undefined" || act.name === "gives null";
    await reacts(bed, act, { react: react as Options["react"] }, isNothing ? { mayMiss: [1] } : {});
  },
  "ReactorOptions.onRefused": async (bed, act) => {
    if (act.kind === "hangs") return; // As above.
    const decider = counter(1);
    let calls = 0;
    await reacts(bed, act, {
      react: (event) => ({ actorId: "b-1", command: commandOf(event), decider }),
      onRefused: (refused) => {
        assertEquals(refused.command, { by: { version: 1 } });
        assertEquals(refused.event.data, DATA);
        return calls++ === 0 ? act.do(refused) as void : undefined;
      },
    }, { mayMiss: [1] });
    // What cannot be awaited counts as thrown.
    assert(act.kind === "gives" ? calls <= 2 : calls === (act.thrown === undefined ? 1 : 2));
  },
  "ReactorOptions.onError": (bed, act) => {
    const decider = counter();
    const react = (event: Event): Reaction => ({
      actorId: "b-1",
      command: commandOf(event),
      decider,
    });
    const other = act.kind === "hangs" ? { ...act, kind: "gives" } as const : act;
    const failsOnce = once({ ...act, do: failing }, react);
    return reacts(bed, other, { react: failsOnce, onError: once(act, () => {}) });
  },
  "SendCommand": async (bed, act) => {
    const sent: { commandId: string; version: number; sequence: number }[] = [];
    let calls = 0;
    const send: SendCommand = (_actorId, command, { commandId, cause }) => {
      const { by: { version } } = command as Command;
      sent.push({ commandId, version, sequence: cause.sequence });
      return calls++ === 0 ? act.do(command, cause) as Promise<unknown> : Promise.resolve();
    };
    // What is sent is not stored here: the later run finds nothing of it.
    await reacts(bed, act, {
      send,
      react: (event) => ({ actorId: "b-1", command: commandOf(event) }),
    }, { mayMiss: [1, 2, 3] });
    const ids = new Map(sent.map(({ commandId, version }) => [version, commandId]));
    const versions = sent.map(({ version }) => version);
    // What cannot be awaited counts as thrown.
    const isAgain = act.thrown !== undefined || act.kind === "gives" && versions.length > 3;
    const all = isAgain ? [1, 1, 2, 3] : act.kind === "hangs" ? [1] : [1, 2, 3];
    assertEquals(versions, all);
    for (const { version, commandId } of sent) assertEquals(ids.get(version), commandId);
  },
  "OutgoingDecider.initialState": (bed, act) => decides(bed, act, "initialState"),
  "OutgoingDecider.evolve": (bed, act) => decides(bed, act, "evolve"),
  "OutgoingDecider.decide": (bed, act) => decides(bed, act, "decide"),
};
