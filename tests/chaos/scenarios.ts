/**
 * The storms that `deno task chaos` knows, by name. A new one is a file beside this and a line in it.
 *
 * @module
 */

import type { Scenario } from "./scenario.ts";

/** Each scenario by its name; loaded when it is run. */
export const SCENARIOS: Readonly<Record<string, () => Promise<Scenario>>> = {
  "all-together": async () => (await import("./storm/storm.ts")).allTogether,
  election: async () => (await import("./election.ts")).election,
  "nats-leader": async () => (await import("./nats_leader.ts")).natsLeader,
  "others-death": async () => (await import("./others_death.ts")).othersDeathScenario,
  history: async () => (await import("./history.ts")).history,
  once: async () => (await import("./once.ts")).onceScenario,
  failover: async () => (await import("./failover.ts")).failover,
  takeover: async () => (await import("./takeover.ts")).takeover,
  continuity: async () => (await import("./continuity.ts")).continuityScenario,
  processes: async () => (await import("./processes.ts")).processesScenario,
  durability: async () => (await import("./durability.ts")).durability,
  leaks: async () => (await import("./leaks/leaks.ts")).leaks,
  steady: async () => (await import("./leaks/steady.ts")).steady,
  shop: async () => (await import("./shop.ts")).shopScenario,
  zombie: async () => (await import("./zombie.ts")).zombie,
};
