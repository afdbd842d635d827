import { assertEquals } from "@std/assert";
import { Heartbeat } from "../../../cluster/membership/heartbeat.ts";
import { discoveryTimings } from "../../../cluster/membership/timings.ts";
import { heartbeatKey } from "../../../cluster/subjects.ts";
import type { Bucket } from "../../../store/kv/bucket.ts";
import { join, settled } from "../bed.ts";
import { membersAre, nodesTest } from "./discovery_bed.ts";
import { natsTest } from "../../support/fixture.ts";

/** A clock that a test sets; it shows what the machine shows to begin with. */
class TestClock {
  slept = 0;
  monotonic(): number {
    return performance.now();
  }
  wall(): number {
    return Date.now() + this.slept;
  }
}

/** Validity of a heartbeat of 15 s, less a fifteenth for clocks that drift. */
const VALID = 14_000;

Deno.test("a heartbeat is valid from before it was sent, and by the clock that shows more", async () => {
  const time = { monotonic: 1_000, wall: 1_000_000 };
  const clock = { monotonic: () => time.monotonic, wall: () => time.wall };
  let revision = 0;
  const bucket = {
    requests: { closed: false, connected: () => Promise.resolve() },
    put: () => {
      time.monotonic += 600; // Until the answer comes.
      time.wall += 600;
      return Promise.resolve({ kind: "stored", first: ++revision });
    },
  } as unknown as Bucket;
  const heartbeat = new Heartbeat({
    bucket,
    timings: discoveryTimings(),
    clock,
    content: () => ({ nodeId: "a", incarnation: "1", server: undefined, load: undefined }),
    isMember: () => Promise.resolve(true),
    report: () => {},
  });
  assertEquals(heartbeat.validFor, 0);
  const { signal } = new AbortController();
  await heartbeat.begin(1_000, signal);
  assertEquals(heartbeat.validFor, VALID - 600);
  time.monotonic += 1_000;
  assertEquals(heartbeat.validFor, VALID - 1_600);
  time.wall += 5_000; // The machine has slept.
  assertEquals([heartbeat.validFor, heartbeat.steadySince < Infinity], [VALID - 5_600, true]);
  time.wall -= 60_000; // Somebody sets the clock back.
  assertEquals(heartbeat.validFor, VALID - 1_600);
  time.wall += 120_000;
  assertEquals([heartbeat.validFor, heartbeat.steadySince], [0, Infinity]);
  await heartbeat.begin(1_000, signal);
  assertEquals(heartbeat.validFor, VALID - 600);
});

natsTest("a node whose machine slept answers once it has been heard of again", async (scene) => {
  const proxy = scene.proxy();
  const clock = new TestClock();
  const reads = (cluster: { handle: (handler: () => string) => void }) =>
    cluster.handle(() => "read");
  const node = await join(scene, "a", { clock }, proxy, reads);
  await settled(node);
  assertEquals(await node.send("counter-1", "read"), "read");
  const lost = proxy.eatFromClient(({ subject }) => subject.endsWith(heartbeatKey(node)));
  clock.slept = 20_000;
  const read = node.send("counter-1", "read");
  const early = await Promise.race([read, new Promise((resolve) => setTimeout(resolve, 200))]);
  assertEquals(early, undefined);
  lost.stop();
  assertEquals(await read, "read");
  await node.leave();
});

nodesTest(
  "a coordinator whose machine slept takes nobody out by what it saw before",
  async (hall) => {
    const clock = new TestClock();
    const timings = { ping: 100, crash: 1_000, outage: 250 };
    const { discovery: a } = await hall.join({ ...timings, nodeId: "a", clock });
    const b = await hall.join({ ...timings, nodeId: "b" });
    await hall.join({ ...timings, nodeId: "c" });
    // Time goes on in leaps: nothing is seen for long enough without a gap.
    const sleeping = setInterval(() => clock.slept += 5_000, 50);
    await hall.crash(b);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assertEquals(a.view.members.length, 3);
    clearInterval(sleeping);
    // On a busy machine another node may seem silent too: then the end of its heartbeat decides.
    await membersAre(a, "a", "c");
    assertEquals(a.view.departed.map(({ nodeId }) => nodeId), ["b"]);
  },
);
