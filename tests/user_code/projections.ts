import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointStore,
  type Event,
  InMemoryCheckpointStore,
  Projection,
} from "../../mod.ts";
import { type Act, once } from "../support/acts.ts";
import { spoil } from "../support/nasty.ts";
import { type Bed, DATA, fact, failing, failureOf, type Hooks } from "./bed.ts";

/** Runs a projection over three events: each is handled, in order, whatever the hooks do. */
async function projects(
  bed: Bed,
  act: Act,
  options: {
    handler?: (event: Event) => void;
    onError?: () => void;
    onSwitch?: () => void;
    checkpoints?: CheckpointStore;
    rebuild?: boolean;
    fails?: boolean;
  },
): Promise<void> {
  const store = await bed.open();
  for (const version of [1, 2, 3]) await store.saveEvent(fact(version));
  const seen: unknown[] = [];
  let failures = options.fails ? 1 : 0;
  const handler = options.handler ?? (() => {});
  await using projection = new Projection({
    name: "p",
    store,
    checkpoints: options.checkpoints ?? new InMemoryCheckpointStore(),
    retry: { attempts: 3, delay: 1 },
    onError: options.onError ?? (() => {}),
    ...(options.onSwitch && { onSwitch: options.onSwitch }),
    handler: async (event, { version }) => {
      if (failures-- > 0) throw undefined;
      const given = structuredClone(event.data);
      await handler(event);
      if (version === 1) seen.push([given, event.version]);
    },
  });
  const running = projection.run();
  running.catch(() => {}); // Awaited below.
  if (act.kind !== "hangs") {
    await Promise.race([projection.caughtUp, running]);
    assertEquals(seen.map((it) => (it as unknown[])[0]), [DATA, DATA, DATA]);
    const { positions } = await projection.status();
    assert(positions[0]! > 0 && (await projection.lag()).events === 0);
    if (options.rebuild) assertEquals(await projection.rebuild(), 2);
  } else if (options.rebuild) {
    await projection.caughtUp;
    failureOf(projection.rebuild());
    await act.begun;
  }
  await projection[Symbol.asyncDispose]();
  await running;
}

/** A checkpoint store one of whose methods acts at its first call. */
function checkpointStore(act: Act, method: "load" | "save" | "transaction"): CheckpointStore {
  const inner = new InMemoryCheckpointStore();
  const own: CheckpointStore = {
    load: (key) => inner.load(key),
    save: (key, checkpoint) => inner.save(key, checkpoint),
    ...(method === "transaction" && { transaction: (work) => work(undefined) }),
  };
  const sound = own[method] as (...args: unknown[]) => unknown;
  return Object.assign(own, { [method]: once(act, sound) });
}

/** What projections take from their user. */
export const PROJECTIONS: Hooks = {
  "ProjectionHandler": async (bed, act) => {
    if (act.kind === "hangs") return; // It holds its partition, as the contract says.
    const handler = once(act, () => {});
    await projects(bed, act, { handler });
    // In a transaction, and failing after it has changed the event.
    let left = 2;
    await projects(bed, act, {
      checkpoints: checkpointStore({ ...act, do: failing }, "transaction"),
      handler: (event) => {
        spoil(event);
        if (left-- > 0) return act.do(event) as void;
      },
    });
  },
  "ProjectionOptions.onError": (bed, act) =>
    act.kind === "hangs"
      ? projects(bed, { ...act, kind: "gives" }, { onError: once(act, () => {}), fails: true })
      : projects(bed, act, { onError: once(act, () => {}), fails: true }),
  "ProjectionOptions.onSwitch": (bed, act) =>
    projects(bed, act, { onSwitch: once(act, () => {}), rebuild: true }),
  "CheckpointStore.load()": (bed, act) =>
    projects(bed, act, { checkpoints: checkpointStore(act, "load") }),
  "CheckpointStore.save()": async (bed, act) => {
    if (act.kind === "gives") return; // A store that lies about its saves is none.
    await projects(bed, act, { checkpoints: checkpointStore(act, "save") });
  },
  "CheckpointStore.transaction()": async (bed, act) => {
    if (act.kind === "gives" || act.kind === "spoils" || act.kind === "hangs") return; // As above.
    await projects(bed, act, { checkpoints: checkpointStore(act, "transaction") });
  },
};
