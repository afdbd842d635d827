/** Mutants of what serves shards: the failure detector, the map, the handoff. */
import type { Mutant } from "../mutant.ts";

const HANDOFF = "cluster/sharding/handoff.ts";
const HANDOFF_TESTS = ["tests/cluster/sharding/handoff_test.ts"];
const DETECTOR = "cluster/membership/failure_detector.ts";
const DETECTOR_TESTS = ["tests/cluster/membership/failure_detector_test.ts"];
const MAP = "cluster/sharding/shard_map.ts";
const MAP_TESTS = ["tests/cluster/sharding/shard_map_test.ts"];

/** Faults in who is taken for dead, and who serves what. */
export const SHARDING: readonly Mutant[] = [
  {
    name: "a crash without its span",
    file: DETECTOR,
    find: "lastSent - deafSince < this.#timings.crash) {",
    replace: "lastSent - deafSince < 0) {",
    tests: DETECTOR_TESTS,
    why: "A node that reconnects would be taken for dead.",
  },
  {
    name: "a crash over a gap",
    file: DETECTOR,
    find: "if (record.deafSince === undefined || sentAt - record.lastEnded > this.#maxGap) {",
    replace: "if (record.deafSince === undefined) {",
    tests: DETECTOR_TESTS,
    why: "An observer that did not look for a while would count that time as the node's silence.",
  },
  {
    name: "an outage that is taken for crashes",
    file: DETECTOR,
    find: "if (silent.length > records.length / 2) return true;",
    replace: "",
    tests: DETECTOR_TESTS,
    why: "When NATS fails, the members would take each other out.",
  },
  {
    name: "a NATS server's end that is taken for crashes",
    file: DETECTOR,
    find:
      "    if (this.#serversGone.some((at) => since > at - outage - ping && since < at + 2 * outage)) {\n      return true;\n    }\n",
    replace: "    void ping;\n",
    tests: DETECTOR_TESTS,
    why: "Nodes that move to another server would be taken for dead.",
  },
  {
    name: "counts that outlast the observer's own break",
    file: DETECTOR,
    find: 'if (outcome === "unsent") return this.restart();',
    replace: 'if (outcome === "unsent") return;',
    tests: DETECTOR_TESTS,
    why: "An observer that was cut off would take the others for dead.",
  },
  {
    name: "a timeout that counts as deafness",
    file: DETECTOR,
    find:
      '    if (outcome === "timeout") {\n      record.deafSince = undefined;\n      return;\n    }\n',
    replace: "",
    tests: DETECTOR_TESTS,
    why: "A node that is only busy would be taken for crashed.",
  },
  {
    name: "one missing heartbeat is enough",
    file: "cluster/membership/failure_watch.ts",
    find: 'return isMissed && now - steadySince() >= heartbeatTtl ? "hung" : undefined;',
    replace: 'return isMissed && steadySince() > 0 && heartbeatTtl > 0 ? "hung" : undefined;',
    tests: ["tests/cluster/membership/discovery_fault_test.ts"],
    filter: "all heartbeats have expired",
    why: "After an outage of the bucket all heartbeats are gone, and all nodes alive.",
  },
  {
    name: "a heartbeat that counts from its answer",
    file: "cluster/membership/heartbeat.ts",
    find: "this.#renewedAt = sentAt;",
    replace: "this.#renewedAt = instant(clock);",
    tests: ["tests/cluster/membership/heartbeat_test.ts"],
    why: "A node would answer commands though the others have taken it out.",
  },
  {
    name: "a heartbeat without its margin",
    file: "cluster/membership/heartbeat.ts",
    find: "heartbeatTtl * (1 - MARGIN) - elapsed",
    replace: "heartbeatTtl - elapsed",
    tests: ["tests/cluster/membership/heartbeat_test.ts"],
    why: "Clocks drift: the server may let the key expire while its node still counts on it.",
  },
  {
    name: "a map that comes late",
    file: HANDOFF,
    find: "if (fact.mapVersion <= state.mapVersion) return stay(state);",
    replace: "if (fact.mapVersion === state.mapVersion) return stay(state);",
    tests: HANDOFF_TESTS,
    why: "An older map would take a shard from its owner, or give it to two.",
  },
  {
    name: "a process that leaves and takes shards",
    file: HANDOFF,
    find: "mine: fact.mine && !state.leaving,",
    replace: "mine: fact.mine,",
    tests: HANDOFF_TESTS,
    why: "A node that ends would take shards and leave them without an owner.",
  },
  {
    name: "a handoff under an older map",
    file: HANDOFF,
    find: '  if (isNewer) return stay({ ...state, phase: "idle" });\n',
    replace: '  if (isNewer && isOthers && !mine) return stay({ ...state, phase: "idle" });\n',
    tests: HANDOFF_TESTS,
    why: "A deposed owner would take its shard back from its successor.",
  },
  {
    name: "a claim that came too late is kept",
    file: HANDOFF,
    find: "  if (!state.mine) return release(state);\n",
    replace: "",
    tests: HANDOFF_TESTS,
    why: "A node would serve a shard that the map has given to another meanwhile.",
  },
  {
    name: "an owner that releases before it has drained",
    file: HANDOFF,
    find: 'return to(state, "draining", { kind: "drain", claim });',
    replace: "return release(state);",
    tests: HANDOFF_TESTS,
    why: "Commands under way would be cut off by each planned move.",
  },
  {
    name: "a shard that is served before it was replayed",
    file: HANDOFF,
    find: 'return to(state, "replaying", { kind: "replay", claim: state.claim });\n}',
    replace: 'return to(state, "serving", { kind: "serve", claim: state.claim });\n}',
    tests: HANDOFF_TESTS,
    why: "The new owner would decide on what it knew before the others wrote.",
  },
  {
    name: "an owner that does not stop when it is fenced",
    file: HANDOFF,
    find: 'return isHit ? lose(state, { kind: "stop", claim: state.claim }) : stay(state);',
    replace: "return isHit ? lose(state) : stay(state);",
    tests: HANDOFF_TESTS,
    why: "A deposed owner would go on with commands, and with reads, that are not its own.",
  },
  {
    name: "a lost map that begins anew",
    file: MAP,
    find: "const version = Math.max(current.version, seen) + 1;",
    replace: "const version = current.version + 1;",
    tests: MAP_TESTS,
    why: "No claim under the new map would count: all shards would stand still.",
  },
  {
    name: "moves without a bound",
    file: MAP,
    find: "inTurn(served).slice(0, maxMoves).forEach(move);",
    replace: "inTurn(served).forEach(move);",
    tests: MAP_TESTS,
    why: "All shards would stop at once when a node joins.",
  },
  {
    name: "a map version that another map has had",
    file: MAP,
    find: "taken = Math.max(taken, map.version + 1);",
    replace: "taken = Math.max(taken, 0);",
    tests: ["tests/cluster/sharding/older_map_test.ts"],
    why: "Two owners would each have a map of that version that gives them the shard.",
  },
  {
    name: "a map of a later format that is overwritten",
    file: "cluster/sharding/shard_coordinator.ts",
    find: "      if (isOfLaterFormat(value, MAP_FORMAT)) throw error;\n",
    replace: "      void isOfLaterFormat(value, MAP_FORMAT);\n",
    tests: ["tests/cluster/sharding/shard_coordinator_test.ts"],
    filter: "never written over",
    why: "An older node would destroy what newer ones have stored.",
  },
];
