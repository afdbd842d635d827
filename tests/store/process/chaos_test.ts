/**
 * Orders as processes of ten steps through a short storm, and what judges it: an oracle that reads the
 * raw log, and that has to catch logs which were doctored. `deno task chaos processes` runs it long.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NO_MACHINE_CLOCK } from "../../chaos/machine_clock.ts";
import { trading } from "../../chaos/processes.ts";
import { Chaos } from "../../chaos/scenario.ts";
import { type Entry, judge } from "../../chaos/trade/trade_log.ts";
import { unlessSkipped } from "../../support/skip.ts";

/** A change of a log, and the problem that it has to be. */
type Doctored = readonly [what: string, doctor: (log: Entry[]) => void, problem: RegExp];

const at = (log: Entry[], wanted: (entry: Entry) => boolean): number => {
  const found = log.findIndex(wanted);
  assert(found >= 0, "The log has nothing to doctor");
  return found;
};
const isFact = (type: string) => (entry: Entry) => entry.type === type;
const isOf = (category: string) => ({ actorId, type }: Entry) =>
  actorId.startsWith(`${category}-`) && type !== "";
/** A deadline that has come: the first event of its save. */
const isFired = (log: Entry[]) => (entry: Entry) =>
  isFact("DeadlineCleared")(entry) && log.find(({ op }) => op === entry.op) === entry;

const DOCTORED: readonly Doctored[] = [
  ["an end is lost", (log) => log.splice(at(log, isFact("ProcessEnded")), 1), /has not ended/],
  ["an order is lost", (log) => {
    const { actorId } = log[at(log, isFact("Began"))]!;
    log.splice(0, Infinity, ...log.filter((entry) => entry.actorId !== actorId));
  }, /is lost/],
  ["a paid order is cancelled", (log) => {
    const found = log[at(log, isFact("Paid"))]!;
    log.push({ ...found, type: "Cancelled", op: "doctored", command: "doctored" });
  }, /is paid: true, and not/],
  ["a charge is lost", (log) => log.splice(at(log, isOf("account")), 1), /is charged 0 times/],
  ["a command is doubled", (log) => {
    log.push({ ...log[at(log, isOf("account"))]!, op: "doctored" });
  }, /has a second outcome/],
  ["an input is taken twice", (log) => {
    log.push({ ...log[at(log, isFact("Began"))]!, op: "doctored" });
  }, /has a second outcome/],
  ["a piece of stock is gone", (log) => {
    const found = log[at(log, isOf("stock"))]!;
    log.push({ ...found, command: "doctored", op: "doctored", data: { by: -1 } });
  }, /pieces, not/],
  ["more is taken than there is", (log) => {
    log.unshift({ ...log[at(log, isOf("stock"))]!, op: "doctored", data: { by: -1 } });
  }, /is at -1 pieces/],
  ["a refused command has events", (log) => {
    const isRefused = ({ type, data }: Entry) =>
      type === "" && (data as { kind: string }).kind === "refused";
    const index = at(log, isRefused);
    log.splice(index, 0, { ...log[index]!, type: "Moved", data: { by: 0 }, op: "doctored" });
  }, /second outcome/],
  ["an outcome comes back twice", (log) => {
    const found = log[at(log, isFact("CommandSettled"))]!;
    log.push({ ...found, op: "doctored", command: "doctored" });
  }, /which is not open/],
  ["an outcome never comes back", (log) => {
    log.splice(at(log, isFact("CommandSettled")), 1);
  }, /waits for/],
  ["a deadline comes early", (log) => {
    const index = at(log, isFired(log));
    log[index] = { ...log[index]!, time: log[index]!.time - 60_000 };
  }, /ms early/],
  ["a deadline is lost", (log) => {
    log.splice(at(log, isFired(log)), 1);
  }, /has lost deadline/],
  ["something is decided after the end", (log) => {
    const { actorId } = log[at(log, isFact("ProcessEnded"))]!;
    log.push({ ...log.at(-1)!, actorId, type: "Packed", op: "doctored", command: "doctored" });
  }, /after its end/],
];

Deno.test({
  ...unlessSkipped(
    "Orders are paid or cancelled, once, through kills, pauses and a deploy; the oracle sees more",
    NO_MACHINE_CLOCK,
  ),
  fn: async () => {
    const { findings, placed, entries } = await trading(new Chaos(5, 8_000), 60);
    assert(Number(findings.shipped) > 0 && Number(findings.cancelled) > 0);
    assertEquals(judge(entries, placed).problems, []);
    for (const [what, doctor, problem] of DOCTORED) {
      const doctored = [...entries];
      doctor(doctored);
      const { problems } = judge(doctored, placed);
      assert(problems.some((found) => problem.test(found)), `${what}: ${problems}`);
    }
  },
});
