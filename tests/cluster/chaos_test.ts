import { assert, assertEquals } from "@std/assert";
import type { ClusterOptions } from "../../cluster/options.ts";
import { continuity } from "../chaos/continuity.ts";
import { failovers } from "../chaos/failover.ts";
import { history } from "../chaos/history.ts";
import { NO_MACHINE_CLOCK } from "../chaos/machine_clock.ts";
import { once } from "../chaos/once.ts";
import { Chaos } from "../chaos/scenario.ts";
import { takeovers } from "../chaos/takeover.ts";
import { zombies } from "../chaos/zombie.ts";
import { unlessSkipped } from "../support/skip.ts";

/** Far beyond what is promised, in ms: machines that run tests are busy. */
const LONG = 15_000;

const QUICK: ClusterOptions = {
  lease: 4_000,
  heartbeatTtl: 4_000,
  ping: 150,
  crash: 1_200,
  outage: 400,
};

function storm(name: string, fn: () => Promise<void>): void {
  Deno.test({ ...unlessSkipped(name, NO_MACHINE_CLOCK), fn });
}

storm(
  "Through kills, pauses, joins and leaves events are the owners', each command once",
  async () => {
    const findings = await history.run(new Chaos(5, 8_000));
    assert(Number(findings["commands acked"]) > 0 && Number(findings.kills) > 0);
  },
);

storm(
  "A command whose owner dies between commit and reply is handled once, and answered",
  async () => {
    const findings = await once(new Chaos(5, 0), 5);
    assertEquals([findings["owners lost"], findings.events], [5, 5]);
  },
);

storm(
  "Shards of nodes that leave, die or hang are served again, the others all along",
  async () => {
    const faults = ["leave", "kill", "kill leader", "hang"] as const;
    const { untilServed, gaps, others, leaderless } = await failovers(
      new Chaos(5, 0),
      QUICK,
      faults,
    );
    assertEquals(leaderless.length, 1);
    for (const fault of faults) {
      assertEquals(untilServed[fault].length, 1);
      const times = [...untilServed[fault], ...gaps[fault], ...others[fault]];
      assert(times.every((ms) => ms < LONG), `${fault}: ${times}`);
    }
  },
);

storm("A dead node's third of a thousand shards is claimed by the others", async () => {
  const { fromView, shards } = await takeovers(new Chaos(5, 0), QUICK, 1);
  assert(shards[0]! >= 333, String(shards));
  assert(fromView[0]! < LONG, String(fromView));
});

storm("Rolling restarts under load lose no command, and handle none twice", async () => {
  const findings = await continuity(new Chaos(5, 0), 3);
  assertEquals(findings.events, findings["commands acked"]);
});

storm("Owners that were stopped store nothing after the next owner's claim", async () => {
  const { owners, ends, problems } = await zombies(new Chaos(5, 0), 5);
  assertEquals([owners, problems], [5, []]);
  assertEquals(Object.keys(ends).sort(), ["FencedError", "saved"]);
});

storm("An owner whose event loop was blocked is refused on its next save", async () => {
  const { ends, problems } = await zombies(new Chaos(5, 0), 3, { how: "block" });
  assertEquals(problems, []);
  assertEquals(ends, { FencedError: 3 });
});

storm("Control: by optimistic saves owners that were stopped write on", async () => {
  const { problems } = await zombies(new Chaos(5, 0), 3, { mode: "optimistic" });
  assert(problems.length > 0);
});
