import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { isRecord } from "../base/json.ts";
import { jsonProblem } from "../base/json_fidelity.ts";
import { describe, tokenProblem } from "../base/token.ts";
import { type Codec, FORGOTTEN, type Forgotten, jsonCodec } from "../codec.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { KeyCache } from "./key_cache.ts";
import { seal, unseal } from "./seal.ts";

/** Whose data the state of a snapshot holds; with `[]` the state stays open. */
export type SnapshotSubjects = (snapshot: Snapshot) => readonly string[];

/** A snapshot as it is stored. Without the codec it is no snapshot: see `isCoded()`. */
interface SealedSnapshot extends Snapshot {
  /** The subjects of the state, which is sealed for the first one, that for the second, and so on. */
  readonly sealed: readonly string[];
  /** The sealed state; empty if a subject was forgotten already. */
  readonly state: string;
}

/** A codec of snapshots whose states are sealed: nobody opens one of which a subject is forgotten. */
export function sealedSnapshots(
  keys: KeyCache,
  subjectsOf: SnapshotSubjects,
): Codec<Snapshot> {
  return {
    // The states of actors hold `FORGOTTEN` when a subject is; the rules are kept below.
    lenient: true,
    encode(snapshot) {
      const given = subjectsOf({ ...snapshot, state: freshCopy(snapshot.state) });
      refusePromise(given, "the function of subjects");
      const subjects = [...new Set(given)];
      for (const subject of subjects) {
        refusePromise(subject, "a subject of the state");
        const problem = tokenProblem(subject);
        if (problem !== undefined) throw new TypeError(`a subject of the state ${problem}`);
      }
      const problem = jsonProblem(snapshot.state, "state");
      const text = problem === undefined ? JSON.stringify(snapshot.state) : undefined;
      return encode(snapshot, subjects, text, problem);
    },
    async decode(bytes) {
      const { sealed, ...snapshot } = checked(jsonCodec.decode(bytes));
      let content = snapshot.state;
      for (const subject of sealed.toReversed()) {
        const key = await keys.find(subject);
        if (key === FORGOTTEN || key === undefined) return FORGOTTEN;
        content = await unseal(key, content, placeOf(snapshot, subject));
      }
      return { ...snapshot, state: JSON.parse(content) };
    },
  };

  /** What the state is was settled before, so that later changes of it do not matter. */
  async function encode(
    snapshot: Snapshot,
    subjects: readonly string[],
    text: string | undefined,
    problem: string | undefined,
  ): Promise<Uint8Array> {
    const found: (CryptoKey | Forgotten)[] = await Promise.all(
      subjects.map((subject) => keys.make(subject)),
    );
    let content = found.includes(FORGOTTEN) ? "" : text;
    if (content === undefined) throw new TypeError(problem);
    if (content !== "") {
      for (const [at, key] of found.entries()) {
        content = await seal(key as CryptoKey, content, placeOf(snapshot, subjects[at]!));
      }
    }
    const stored: SealedSnapshot = { ...snapshot, sealed: subjects, state: content };
    return jsonCodec.encode(stored);
  }
}

function placeOf({ actorId, name, version, schemaVersion }: Snapshot, subject: string): unknown {
  return ["snapshot", actorId, name, version, schemaVersion, subject];
}

function checked(stored: unknown): SealedSnapshot {
  const { sealed, state }: Readonly<Record<string, unknown>> = isRecord(stored) ? stored : {};
  if (
    typeof state === "string" && Array.isArray(sealed) &&
    sealed.every((subject) => typeof subject === "string")
  ) return stored as SealedSnapshot;
  throw new TypeError(`its state is ${describe(state)}, not a sealed one`);
}
