/**
 * What a storm was, in tables: operations by kind and outcome, faults by kind.
 *
 * @module
 */

import { clientOf, type Evidence } from "./evidence.ts";

/** The faults that connections made by themselves, as their processes have told. */
export function faultsSeen({ sightings }: Evidence): Record<string, number> {
  const last = new Map(
    sightings.filter(({ kind }) => kind === "faults")
      .map((sighting) => [clientOf(sighting), sighting.what as Record<string, number>]),
  );
  const counts: Record<string, number> = {};
  for (const faults of last.values()) {
    for (const [kind, count] of Object.entries(faults)) {
      counts[`connection: ${kind}`] = (counts[`connection: ${kind}`] ?? 0) + count;
    }
  }
  return counts;
}

/** The lines of the tables. */
export function verdict(
  { operations, sightings }: Evidence,
  faults: Readonly<Record<string, number>>,
): string[] {
  const kinds = [...Map.groupBy(operations, ({ kind }) => kind)].sort();
  const errors = new Map<string, number>();
  for (const { output: { error } } of operations) {
    if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1);
  }
  return [
    ...["| operation | ok | refused | unknown |", "| --- | --- | --- | --- |"],
    ...kinds.map(([kind, own]) => {
      const count = (outcome: string) => own.filter((it) => it.outcome === outcome).length;
      return `| ${kind} | ${count("ok")} | ${count("refused")} | ${count("unknown")} |`;
    }),
    ...["| seen | times |", "| --- | --- |"],
    ...[...Map.groupBy(sightings, ({ kind }) => kind)]
      .map(([kind, own]) => `| ${kind} | ${own.length} |`),
    ...[...errors].map(([error, count]) => `| ${error} | ${count} |`),
    ...["| fault | times |", "| --- | --- |"],
    ...Object.entries(faults).sort().map(([fault, count]) => `| ${fault} | ${count} |`),
  ];
}
