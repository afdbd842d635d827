import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FailureDetector, type PingOutcome } from "../../../cluster/membership/failure_detector.ts";

const TIMINGS = { ping: 500, crash: 2500, outage: 1000 };

/** Observes some nodes by a clock of its own, one ping of each every 250 ms. */
class Observer {
  readonly detector: FailureDetector;
  readonly nodes: string[];
  now = 0;
  readonly #servers = new Map<string, string>();

  constructor(count: number, serverOf: (at: number) => string = () => "s") {
    this.detector = new FailureDetector(TIMINGS);
    this.nodes = Array.from({ length: count }, (_, at) => `n${at}`);
    this.nodes.forEach((node, at) => this.#servers.set(node, serverOf(at)));
    this.detector.watch(this.nodes);
    this.#round(() => "answered");
  }

  /** Pings all for `ms`, with outcomes of `silent` for the nodes that it names. */
  observe(ms: number, silent: Readonly<Record<string, PingOutcome>> = {}): void {
    for (const end = this.now + ms; this.now < end;) {
      this.now += 250;
      this.#round((node) => silent[node] ?? "answered");
    }
  }

  verdict(node: string): string {
    return this.detector.verdict(node, this.now);
  }

  #round(outcomeOf: (node: string) => PingOutcome): void {
    for (const node of this.nodes) {
      const server = this.#servers.get(node);
      const ping = { outcome: outcomeOf(node), sentAt: this.now, endedAt: this.now, server };
      this.detector.record(node, ping);
    }
  }
}

const deaf = (...nodes: string[]) =>
  Object.fromEntries(nodes.map((node) => [node, "no responders" as const]));

Deno.test("a node on whose subject nothing listens for 2.5 s without a gap has crashed", () => {
  const observer = new Observer(3);
  observer.observe(2500, deaf("n1"));
  assertEquals(observer.verdict("n1"), "suspected");
  observer.observe(250, deaf("n1"));
  assertEquals(observer.verdict("n1"), "crashed");
  assertEquals(observer.verdict("n0"), "alive");
});

Deno.test("one answer restarts the count, and so does one ping that may have been heard", () => {
  for (const outcome of ["answered", "timeout"] as const) {
    const observer = new Observer(3);
    observer.observe(2500, deaf("n1"));
    observer.observe(250, { n1: outcome });
    observer.observe(2500, deaf("n1"));
    assertEquals(observer.verdict("n1"), "suspected", outcome);
    observer.observe(250, deaf("n1"));
    assertEquals(observer.verdict("n1"), "crashed", outcome);
  }
});

Deno.test("a node that does not answer is not taken for crashed while something listens", () => {
  const observer = new Observer(3);
  observer.observe(60_000, { n1: "timeout" });
  assertEquals(observer.verdict("n1"), "suspected");
});

Deno.test("an observer that was cut off, or did not observe for a while, starts its counts again", () => {
  const cut = new Observer(3);
  cut.observe(2500, deaf("n1"));
  cut.observe(250, { n0: "unsent", ...deaf("n1") });
  cut.observe(2250, deaf("n1"));
  assertEquals(cut.verdict("n1"), "suspected");
  cut.observe(250, deaf("n1"));
  assertEquals(cut.verdict("n1"), "crashed");
  const blocked = new Observer(3);
  blocked.observe(1000, deaf("n1"));
  blocked.now += 60_000;
  blocked.observe(250, deaf("n1"));
  assertEquals(blocked.verdict("n1"), "suspected");
  blocked.observe(2500, deaf("n1"));
  assertEquals(blocked.verdict("n1"), "crashed");
});

Deno.test("an old verdict does not count", () => {
  const observer = new Observer(3);
  observer.observe(3000, deaf("n1"));
  assertEquals(observer.verdict("n1"), "crashed");
  observer.now += 2000;
  assertEquals(observer.verdict("n1"), "suspected");
});

Deno.test("more than half of the others that fall silent together are an outage", () => {
  const observer = new Observer(4, (at) => `s${at}`);
  observer.observe(500, deaf("n0"));
  observer.observe(500, deaf("n0", "n1"));
  observer.observe(5000, deaf("n0", "n1", "n2"));
  for (const node of ["n0", "n1", "n2"]) assertEquals(observer.verdict(node), "outage");
});

Deno.test("nodes that fall silent one after another have crashed", () => {
  const observer = new Observer(4, (at) => `s${at}`);
  observer.observe(1500, deaf("n0"));
  observer.observe(1500, deaf("n0", "n1"));
  observer.observe(3000, deaf("n0", "n1", "n2"));
  for (const node of ["n0", "n1", "n2"]) assertEquals(observer.verdict(node), "crashed");
});

Deno.test("all nodes of one server that fall silent together are an outage, nodes of several are not", () => {
  const together = new Observer(8, (at) => at < 2 ? "s1" : "s2");
  together.observe(3000, deaf("n0", "n1"));
  assertEquals([together.verdict("n0"), together.verdict("n1")], ["outage", "outage"]);
  const apart = new Observer(8, (at) => at < 3 ? "s1" : "s2");
  apart.observe(3000, deaf("n0", "n1"));
  assertEquals([apart.verdict("n0"), apart.verdict("n1")], ["crashed", "crashed"]);
});

Deno.test("a node that has never answered counts to the server that its heartbeat names", () => {
  const observer = new Observer(8, (at) => at === 0 ? "s1" : "s2");
  observer.nodes.push("young");
  observer.detector.watch(observer.nodes);
  observer.observe(250, deaf("n0", "young"));
  observer.detector.place("young", "s1");
  observer.detector.place("n1", "s1"); // Its own answer is newer.
  observer.observe(3000, deaf("n0", "young"));
  assertEquals([observer.verdict("n0"), observer.verdict("young")], ["outage", "outage"]);
});

Deno.test("a node that is slow to come back from an outage is still taken for crashed", () => {
  const observer = new Observer(8, (at) => at < 2 ? "s1" : "s2");
  observer.observe(1500, deaf("n0", "n1"));
  observer.observe(3000, deaf("n0")); // The other one is back.
  assertEquals(observer.verdict("n0"), "outage");
  observer.observe(250);
  observer.observe(3000, deaf("n0"));
  assertEquals(observer.verdict("n0"), "crashed");
});

Deno.test("a node that falls silent when a NATS server goes may be on its way to another", () => {
  const observer = new Observer(5, (at) => `s${at}`);
  observer.detector.serverGone(observer.now);
  observer.observe(3000, deaf("n0"));
  assertEquals(observer.verdict("n0"), "outage");
  observer.observe(3000, deaf("n0", "n1"));
  assertEquals(observer.verdict("n1"), "crashed", "that was long after");
});

Deno.test("no way to observe takes a node for crashed that was not unheard for 2.5 s", () => {
  const outcomes = fc.constantFrom<PingOutcome>(
    "answered",
    "no responders",
    "no responders",
    "no responders",
    "timeout",
    "unsent",
  );
  const pings = fc.array(
    fc.record({
      node: fc.integer({ min: 0, max: 3 }),
      outcome: outcomes,
      wait: fc.integer({ min: 0, max: 2000 }),
      took: fc.integer({ min: 0, max: 1000 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(pings, (pings) => {
    const detector = new FailureDetector(TIMINGS);
    detector.watch(["0", "1", "2", "3"]);
    const unheardSince = new Map<number, number>();
    let now = 0;
    for (const { node, outcome, wait, took } of pings) {
      const sentAt = now += wait;
      const endedAt = now += took;
      detector.record(String(node), { outcome, sentAt, endedAt });
      if (outcome === "unsent") unheardSince.clear();
      else if (outcome !== "no responders") unheardSince.delete(node);
      else if (!unheardSince.has(node)) unheardSince.set(node, endedAt);
      for (let other = 0; other < 4; other++) {
        if (detector.verdict(String(other), now) !== "crashed") continue;
        assert(now - (unheardSince.get(other) ?? Infinity) >= 2500);
      }
    }
  }));
});
