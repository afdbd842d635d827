/**
 * Judges a storm: by the operations as their callers saw them, by what followers were given, and by
 * what is stored in the end, which was read without the library.
 *
 * @module
 */

import { type Evidence, Indexed, type Rule, type Violation } from "./evidence.ts";
import type { Operation } from "./history.ts";
import { chains, commits, deadlines, fencing, outcomesOnce } from "./log_rules.ts";
import { histories, registers, scans } from "./read_rules.ts";
import { commands, guards, realTime, repeats, told } from "./save_rules.ts";
import { errors, leases, notifications, projections, subscriptions } from "./sight_rules.ts";

const RULES: readonly Rule[] = [
  ...[chains, commits, fencing, outcomesOnce, deadlines],
  ...[told, realTime, guards, repeats, commands],
  ...[registers, histories, scans],
  ...[subscriptions, projections, notifications, leases, errors],
];

/** All that does not hold. */
export function check(evidence: Evidence): Violation[] {
  const indexed = new Indexed(evidence);
  const violations: Violation[] = [];
  for (const rule of RULES) {
    rule(indexed, (rule, message, ...operations) => {
      violations.push({ rule, message, operations });
    });
  }
  return violations;
}

/** A violation with the operations that show it. */
export function described({ rule, message, operations }: Violation): string {
  const lines = operations.slice(0, 4).map((operation) => `    ${lineOf(operation)}`);
  return [`${rule}: ${message}`, ...lines].join("\n");
}

function lineOf({ id, kind, start, end, outcome, input, output }: Operation): string {
  const times = `${start.toFixed(3)} to ${end.toFixed(3)}`;
  const texts = [input, output].map((part) => JSON.stringify(part).slice(0, 400));
  return `${id} ${kind}, ${times}, ${outcome}: ${texts.join(" gave ")}`;
}
