/**
 * A short storm over everything, of three minutes where `CI` is set, and whether its checks would have
 * noticed a broken store in just this one. `deno task chaos all-together` runs it long.
 */

import { assert, assertEquals } from "@std/assert";
import { unlessSkipped } from "../../support/skip.ts";
import { NO_MACHINE_CLOCK } from "../machine_clock.ts";
import { Chaos } from "../scenario.ts";
import { check, described } from "./checker.ts";
import { DOCTORS } from "./doctors.ts";
import { draftOf } from "./draft.ts";
import { storm } from "./storm.ts";

/** How long the faults go on, in ms, and how often each lane of a worker does something. */
const [LENGTH, EVERY] = Deno.env.get("CI") === "true" ? [180_000, 400] : [25_000, 150];

/** Faults that each storm has. */
const FAULTS = [
  ...["process killed", "process frozen", "process frozen beyond its lease"],
  ...["server killed", "server frozen", "server restarted", "all servers killed"],
  ...["line silent", "line cut off", "sockets cut", "stream full", "mirror added"],
  ...["acks eaten", "acks late", "acks doubled"],
  ...["backup restored", "messages removed", "stream recreated"],
];

Deno.test({
  ...unlessSkipped(
    "Through everything at once each process was told what is stored, in order, once",
    NO_MACHINE_CLOCK,
  ),
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "aether-storm-" });
    const options = { workers: 3, lanes: 2, every: EVERY };
    const { evidence, violations, faults } = await storm(new Chaos(5, LENGTH), folder, options);
    assertEquals(violations.map(described), [], `The histories are in ${folder}`);
    await Deno.remove(folder, { recursive: true });
    assertEquals(FAULTS.filter((fault) => !(fault in faults)), [], "No fault is left out");
    let tried = 0;
    for (const [what, rule, doctor] of DOCTORS) {
      const draft = draftOf(evidence);
      try {
        doctor(draft);
      } catch {
        continue; // Nothing of the kind has happened.
      }
      tried++;
      assert(check(draft).some((found) => found.rule === rule), `${what} is not noticed`);
    }
    assert(tried > 30, `Only ${tried} faults of stores were tried`);
  },
});
