import { KvCheckpointStore, streamSequenceOf } from "../../store/mod.ts";
import { readControl, readState } from "../../store/projection/checkpoints.ts";
import { ProjectionKeys } from "../../store/projection/state.ts";
import { safe } from "../output.ts";
import { lastOf, namesIn } from "../records.ts";
import type { Verb } from "../verb.ts";

/** `aether projections`. */
export const projections: Verb = {
  usage: "[NAME]",
  summary:
    "Shows projections, reactors and processes by their checkpoints in NATS: positions, parked actors",
  details: "Ends with 1 if an actor is parked. Checkpoints in databases of your own are not shown.",
  words: [0, 1],
  examples: ["aether projections --namespace shop", "aether projections orders --json"],
  async run({ words: [only], output, namespace, connect, open }) {
    const connection = await connect();
    await open(); // It has to be there.
    const names = await namesIn(connection, namespace);
    const last = await lastOf(connection, namespace);
    let parkedActors = 0;
    let shown = 0;
    const checkpoints = names.length === 0
      ? undefined
      : await KvCheckpointStore.open(connection, { namespace });
    try {
      for (const name of names.filter((name) => only === undefined || name === only)) {
        const found = checkpoints && await stateOf(checkpoints, name);
        if (found === undefined) continue;
        shown++;
        const { control, states } = found;
        const { active, next, paused } = control;
        const begin = active.begin?.sequence ?? 0; // Of partitions that have handled nothing yet.
        const sequence = Math.min(...states.map((state) => state?.sequence ?? begin));
        const lag = Math.max(0, last - streamSequenceOf(sequence));
        const parked = states.flatMap((state) => state?.parked ?? []);
        parkedActors += parked.length;
        const facts = [
          `version ${active.version}`,
          `${active.partitions} partitions`,
          `at ${sequence}`,
          `${lag} messages behind`,
          ...(paused ? ["paused"] : []),
          ...(next === undefined ? [] : [`version ${next.version} is built`]),
        ];
        const value = { name, ...control, sequence, lag, parked };
        output.item(`${safe(name)}: ${facts.join(", ")}`, value);
        for (const { actorId, eventType, version, reason } of output.json ? [] : parked) {
          const place = `${safe(actorId)} at ${version} ${safe(eventType)}`;
          output.line(output.red(`  parked: ${place}: ${safe(reason)}`));
        }
      }
    } finally {
      await checkpoints?.[Symbol.asyncDispose]();
    }
    if (shown === 0) output.error("There is no such projection");
    return parkedActors > 0 || (only !== undefined && shown === 0) ? 1 : 0;
  },
};

/** The control of a projection and the states of its partitions; `undefined` if there is none. */
async function stateOf(checkpoints: KvCheckpointStore, name: string) {
  const load = async <T>(key: string, read: (key: string, body: string) => T) => {
    const saved = await checkpoints.load(key);
    return saved && read(key, saved.body);
  };
  const keys = new ProjectionKeys(name);
  const control = await load(keys.control, readControl);
  if (control === undefined) return undefined;
  const { version, partitions } = control.active;
  const states = await Promise.all(
    Array.from({ length: partitions }, (_, at) => load(keys.partition(version, at), readState)),
  );
  return { control, states };
}
