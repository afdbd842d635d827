import { assert, assertEquals, assertThrows } from "@std/assert";
import { Candidates } from "../../chaos/candidates.ts";
import { election } from "../../chaos/election.ts";
import { NO_MACHINE_CLOCK } from "../../chaos/machine_clock.ts";
import { natsLeader } from "../../chaos/nats_leader.ts";
import { checkReigns, type Note, type Reign, reignsOf } from "../../chaos/reigns.ts";
import { Chaos } from "../../chaos/scenario.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { unlessSkipped } from "../../support/skip.ts";

const skip = NO_MACHINE_CLOCK;

Deno.test({
  ...unlessSkipped(
    "In a storm over candidates and NATS servers no two leases are valid at once",
    skip,
  ),
  fn: async () => {
    const findings = await election.run(new Chaos(5, 20_000));
    assert(Number(findings.leases) >= 3, `There was hardly a storm: ${Deno.inspect(findings)}`);
  },
});

Deno.test({
  ...unlessSkipped("Losing the NATS server that leads the bucket changes no leader", skip),
  fn: async () => {
    const findings = await natsLeader.run(new Chaos(5, 20_000));
    assertEquals(findings["servers killed"], 1);
  },
});

/** A leader is stopped until another one leads, then goes on; gives what both believed. */
async function stopped(scene: Scene, slow: number): Promise<Reign[]> {
  await using candidates = new Candidates({
    servers: [scene.server.url],
    namespace: scene.namespace,
    replicas: 1,
    timings: { lease: 2000 },
    connection: {},
    slow,
  });
  for (const nodeId of ["a", "b"]) candidates.start(nodeId);
  for (const nodeId of ["a", "b"]) {
    await candidates.next((note) => note.kind === "campaigns" && note.nodeId === nodeId, 0);
  }
  const isLead = ({ kind }: Note) => kind === "taken";
  const first = await candidates.next(isLead, 0);
  await candidates.stop(first.nodeId);
  await candidates.next((note) => isLead(note) && note.nodeId !== first.nodeId);
  const over = candidates.next(({ kind, nodeId }) => kind === "over" && nodeId === first.nodeId);
  candidates.resume(first.nodeId);
  await over;
  await candidates.endAll();
  return reignsOf(candidates.notes);
}

natsTest("A leader that was stopped no longer believes in its lease", async (scene) => {
  const reigns = await stopped(scene, 1);
  assert(reigns.length >= 2);
  assert(checkReigns(reigns) > 0);
}, { skip });

natsTest("Control: with twice the validity, two leaders at once are found", async (scene) => {
  const reigns = await stopped(scene, 2);
  assertThrows(() => checkReigns(reigns), Error, "Two leaders");
}, { skip });

Deno.test("checkReigns() finds a term that does not grow", () => {
  const reign = { nodeId: "a", term: 7, from: 0, until: 1, reason: undefined };
  const later = { ...reign, from: 2, until: 3 };
  assertEquals(checkReigns([reign, { ...later, term: 8 }]), 1);
  assertThrows(() => checkReigns([reign, later]), Error, "Term 7 follows on term 7");
});
