import { isAetherError } from "../errors.ts";
import { asStreamSequence, indexOf, messageSequenceOf } from "../format/position.ts";
import { readControl, readRecord } from "../projection/checkpoints.ts";
import { type PartitionState, ProjectionKeys } from "../projection/state.ts";
import { StoredRun } from "../read/stored_run.ts";
import type { Findings } from "./findings.ts";
import type { VerifyProjection } from "./options.ts";
import type { VerifySource } from "./source.ts";

/** Whether the checkpoints of a projection are about events of the store. */
export async function checkCheckpoints(
  { name, checkpoints }: VerifyProjection,
  source: VerifySource,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const keys = new ProjectionKeys(name);
  const load = async <T>(key: string, read: (key: string, body: string) => T) => {
    signal.throwIfAborted();
    const saved = await checkpoints.load(key);
    try {
      return saved && read(key, saved.body);
    } catch (error) {
      if (!isAetherError(error, "CorruptCheckpointError")) throw error;
      report(0, `key "${key}" of projection "${name}" is no checkpoint: ${error.message}`);
      return undefined;
    }
  };
  const report = (position: number, what: string) => {
    const place = { sequence: messageSequenceOf(position), index: indexOf(position) };
    findings.add("checkpoint", place, what);
  };
  const control = await load(keys.control, readControl);
  for (const version of [control?.active, control?.next]) {
    for (let partition = 0; partition < (version?.partitions ?? 0); partition++) {
      const state = await load(keys.partition(version!.version, partition), readPlace);
      if (state === undefined) continue;
      const problem = await problemOf(state, source);
      if (problem === undefined) continue;
      const place = `partition ${partition} of version ${version!.version}`;
      report(
        Number(state.sequence) || 0,
        `the checkpoint of projection "${name}", ${place}, ${problem}`,
      );
    }
  }
}

/** The state of a partition, whose parts are checked one by one. */
function readPlace(key: string, body: string): PartitionState {
  return readRecord(key, body, () => true);
}

async function problemOf(
  { identity, sequence, eventId }: PartitionState,
  source: VerifySource,
): Promise<string | undefined> {
  if (sequence === 0) return undefined;
  if (!Number.isSafeInteger(sequence) || sequence < 0) return `is at no position`;
  if (identity !== source.identity) {
    return `is about the store with identity "${identity}", and this one has "${source.identity}"`;
  }
  const place = messageSequenceOf(sequence);
  const end = await source.end();
  if (place > end) {
    return `is at position ${sequence}, in message ${place}, and the store ends at message ${end}`;
  }
  if (eventId === "") return undefined;
  const message = await source.at(asStreamSequence(place));
  try {
    const run = message && new StoredRun(message);
    if (run !== undefined && run.idAt(indexOf(sequence)) === eventId) return undefined;
  } catch {
    // No event: reported below.
  }
  return `is at event "${eventId}" at position ${sequence}, and that event is not stored there`;
}
