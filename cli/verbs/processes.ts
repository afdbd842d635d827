import { rehydrate } from "../../store/mod.ts";
import { type Ledger, ledger } from "../../store/process/ledger.ts";
import { safe } from "../output.ts";
import { namesIn } from "../records.ts";
import { numberIn, type Verb } from "../verb.ts";

/** Histories that are read at once. */
const PAGE = 50;

/** `aether processes`. */
export const processes: Verb = {
  usage: "[NAME]",
  summary: "Shows the processes that have not ended, and what each waits for",
  details:
    "NAME is the name of a process manager; without one, all that have checkpoints in NATS are shown. " +
    "Ends with 1 if one that it shows is parked.",
  words: [0, 1],
  options: {
    parked: { type: "boolean", description: "Only those that are parked" },
    limit: { type: "string", value: "N", description: "End after so many (100; 0 is all)" },
  },
  examples: ["aether processes --namespace shop", "aether processes order --parked --json"],
  async run({ words: [only], values, output, namespace, signal, connect, open }) {
    const limit = numberIn(values, "limit", 100) || Infinity;
    const store = await open();
    const names = only === undefined
      ? managersIn(await namesIn(await connect(), namespace))
      : [only];
    let [shown, parked] = [0, 0];
    const show = (name: string, actorId: string, found: Ledger) => {
      const id = actorId.slice(`process:${name}-`.length);
      if (found.ended !== undefined || shown >= limit) return;
      if (values.parked === true && found.parked === undefined) return;
      shown++;
      if (found.parked !== undefined) parked++;
      const waits = waitsOf(found);
      output.item(`${safe(name)} ${safe(id)}`, { name, id, parked: found.parked, ...waits });
      if (found.parked !== undefined) {
        output.line(output.red(`  parked: ${safe(found.parked.reason)}`));
      }
      for (const { actorId, since } of output.json ? [] : waits.commands) {
        output.line(`  waits for ${safe(actorId)} since ${since}`);
      }
      for (const { name, since } of output.json ? [] : waits.effects) {
        output.line(`  waits for effect ${safe(name)} since ${since}`);
      }
      for (const { name, at } of output.json ? [] : waits.deadlines) {
        output.line(`  deadline ${safe(name)} at ${at}`);
      }
    };
    for (const name of names) {
      let page: string[] = [];
      const flush = async () => {
        const found = await Promise.all(page.map((actorId) => rehydrate(store, actorId, ledger)));
        found.forEach(({ state }, at) => show(name, page[at]!, state));
        page = [];
      };
      for await (const actorId of store.listActors({ category: `process:${name}` })) {
        signal.throwIfAborted();
        page.push(actorId);
        if (page.length === PAGE) await flush();
        if (shown >= limit) break;
      }
      await flush();
    }
    if (shown === 0) output.error("No process is open");
    return parked > 0 ? 1 : 0;
  },
};

/** The names of process managers among those of projections. */
function managersIn(projections: readonly string[]): string[] {
  return projections.map((name) => /^process:([^:]+)$/.exec(name)?.[1])
    .filter((name) => name !== undefined);
}

function waitsOf({ open, effects, deadlines }: Ledger) {
  return {
    commands: [...open.values()].map(({ id, actorId, since }) => ({
      ...{ id, actorId, since: since.toISOString() },
    })),
    effects: [...effects.values()].map(({ id, name, since }) => ({
      ...{ id, name, since: since.toISOString() },
    })),
    deadlines: [...deadlines.values()].map(({ name, at }) => ({ name, at: at.toISOString() })),
  };
}
