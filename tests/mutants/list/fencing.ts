/** Mutants of fences, claims and group commit. */
import type { Mutant } from "../mutant.ts";

const FENCES = "store/fencing/fences.ts";
const CLAIMS = "store/fencing/claims.ts";
const BATCH = "store/fencing/batch.ts";
const ATTEMPTS = "store/fencing/attempts.ts";
const GROUP = "store/fencing/group_commit.ts";
const FENCES_TESTS = ["tests/store/fencing/fences_test.ts"];
const ATTEMPTS_TESTS = ["tests/store/fencing/attempts_test.ts"];
const GROUP_TESTS = ["tests/store/fencing/group_test.ts"];

/** Faults in what keeps a deposed owner from writing. */
export const FENCING: readonly Mutant[] = [
  {
    name: "a batch that proves no claim",
    file: BATCH,
    find: "  for (const { shard, fence: { sequence } } of claims) {",
    replace: "  for (const { shard, fence: { sequence } } of [...claims].slice(0, 0)) {",
    tests: ["tests/store/fencing/deposed_test.ts"],
    filter: "With its guards a deposed owner writes nothing",
    why: "A deposed owner would write beside its successor.",
  },
  {
    name: "only the first claim of a batch is proved",
    file: BATCH,
    find: "    for (const claim of entry.claims) this.claims.add(claim);\n",
    replace:
      "    for (const claim of entry.claims) if (this.claims.size === 0) this.claims.add(claim);\n",
    tests: ["tests/store/fencing/deposed_test.ts"],
    filter: "If one of five shards is lost",
    why: "A batch of several shards would write to one that is lost.",
  },
  {
    name: "a claim under an older map",
    file: FENCES,
    find: "if (current === undefined || current.mapVersion < mapVersion) return;",
    replace: "if (current === undefined || current.mapVersion !== mapVersion) return;",
    tests: FENCES_TESTS,
    filter: "A claim under an older map is refused",
    why: "A node that missed a map would take the shard back from its owner.",
  },
  {
    name: "a claim under another's map version",
    file: FENCES,
    find: "const isOwn = current.nodeId === nodeId && current.incarnation <= incarnation;",
    replace: "const isOwn = current.incarnation <= incarnation || current.nodeId === nodeId;",
    tests: FENCES_TESTS,
    filter: "When two nodes claim under one map",
    why: "Two nodes would own a shard under one map.",
  },
  {
    name: "an earlier incarnation that takes over",
    file: FENCES,
    find: "const isOwn = current.nodeId === nodeId && current.incarnation <= incarnation;",
    replace: 'const isOwn = current.nodeId === nodeId && incarnation !== "";',
    tests: FENCES_TESTS,
    filter: "an earlier one never",
    why: "A process that was frozen and replaced would take its shards back.",
  },
  {
    name: "a release over another's fence",
    file: FENCES,
    find: "      if (current?.sequence === claim.sequence) return;\n",
    replace: "      if (current === undefined || claim.sequence > 0) return;\n",
    tests: FENCES_TESTS,
    why: "A node would give up a shard that is another's by now.",
  },
  {
    name: "any fence that passes for one's own",
    file: FENCES,
    find: "holds: ({ fence }) => fence?.nonce === own.nonce,",
    replace: "holds: ({ fence }) => fence?.nodeId !== own.nonce,",
    tests: FENCES_TESTS,
    filter: "has overtaken",
    why: "A claim that was lost would be told as another's fence.",
  },
  {
    name: "a fence without its compare-and-set",
    file: FENCES,
    find: "        fields.set(EXPECT, String(sequenceOf(seen)));\n",
    replace: "        void EXPECT;\n        void seen;\n",
    tests: FENCES_TESTS,
    filter: "When two nodes claim under one map",
    why: "Two claims at once would both be stored, and both believed.",
  },
  {
    name: "a claim that forgets nothing",
    file: CLAIMS,
    find: "        heads.forget((actorId) => shards.has(shardOf(actorId, count)));\n",
    replace: "        void shardOf;\n        void count;\n        void heads;\n",
    tests: ["tests/store/fencing/claims_test.ts"],
    why: "The new owner would decide on versions that others have moved.",
  },
  {
    name: "reads that need not reach the claim",
    file: CLAIMS,
    find:
      "      heads.reach(asStreamSequence(fence.sequence));\n      this.#claims.set(shard, { shard, fence, closing: false });\n      return fence;",
    replace:
      "      this.#claims.set(shard, { shard, fence, closing: false });\n      return fence;",
    tests: ["tests/store/fencing/claims_test.ts"],
    why: "The new owner would read from a replica that lacks its predecessor's events.",
  },
  {
    name: "a fence that is observed without effect",
    file: CLAIMS,
    find: "    this.#claims.delete(shard);\n    // A message that is no fence",
    replace: "    // A message that is no fence",
    tests: ["tests/store/fencing/deposed_test.ts"],
    why: "A deposed owner would go on believing, and its callers wait in vain.",
  },
  {
    name: "an older fence that ends a claim",
    file: CLAIMS,
    find: "if (holder === undefined || holder.sequence <= fence.sequence) return false;",
    replace: "if (holder === undefined || holder.sequence === fence.sequence) return false;",
    tests: ["tests/store/fencing/claims_test.ts", ...FENCES_TESTS],
    why: "A replica that is behind would depose the true owner.",
  },
  {
    name: "a lost shard that is claimed under the same map",
    file: CLAIMS,
    find: "if (lost !== undefined && mapVersion <= lost.mapVersion) {",
    replace: "if (lost !== undefined && mapVersion < 0) {",
    tests: ["tests/store/fencing/claims_test.ts", ...FENCES_TESTS],
    why: "Two nodes would take a shard from each other again and again.",
  },
  {
    name: "new saves while a shard is released",
    file: CLAIMS,
    find: "      claim.closing = true;\n",
    replace: "",
    tests: ["tests/store/fencing/fences_test.ts", "tests/store/fencing/fenced_store_test.ts"],
    why: "A release would never end under load, or refuse saves that were accepted.",
  },
  {
    name: "an attempt that is unseen counts as absent",
    file: ATTEMPTS,
    find: 'return isOpen ? "unknown" : "not-saved";',
    replace: 'return isOpen ? "not-saved" : "not-saved";',
    tests: ATTEMPTS_TESTS,
    why: "A save that is still on its way would be told as not stored.",
  },
  {
    name: "a broken guard that settles too much",
    file: ATTEMPTS,
    find: "!(isGuardBroken && isUntouched(actors, moved, api))",
    replace: "!(isGuardBroken && isUntouched(new Set([...actors].slice(0, 0)), moved, api))",
    tests: ATTEMPTS_TESTS,
    filter: "settles nothing where the actor moved",
    why: "A stored save would be told as not stored.",
  },
  {
    name: "a batch that is not known again",
    file: ATTEMPTS,
    find: "      if (landed !== undefined) return { landed, first: firstOf(message) };\n",
    replace: "      void firstOf;\n      void landed;\n",
    tests: ["tests/store/fencing/fault_test.ts"],
    filter: "Lost acks of groups",
    why: "A group whose answer was lost would be told as a conflict.",
  },
  {
    name: "a group that is sent again without a look",
    file: GROUP,
    find: "    if (tried.actors.size > 0) tries.add(id, tried);\n",
    replace: "",
    tests: ["tests/store/fencing/fault_test.ts"],
    filter: "Lost acks of groups",
    why: "A stored group would be told as a conflict of its own saves.",
  },
  {
    name: "saves of one actor that overtake each other",
    file: "store/fencing/waiting.ts",
    find: "      for (const actorId of actors) blocked.add(actorId);\n",
    replace: "",
    tests: GROUP_TESTS,
    filter: "keep their order",
    why: "A caller's second save would be stored before its first, which is refused then.",
  },
  {
    name: "a save that depends on one beside it",
    file: BATCH,
    find: '    if (depends) return "later";\n',
    replace: "    void depends;\n",
    tests: ["tests/store/fencing/batch_test.ts"],
    why: "A guard would be held against what is not stored yet.",
  },
  {
    name: "an outcome that is not right behind what it was decided on",
    file: BATCH,
    find:
      "    if (entry.plan.ends !== undefined && actors.some((actorId) => this.#heads.has(actorId))) {",
    replace: "    if (entry.plan.ends !== undefined && actors.length < 0) {",
    tests: ["tests/store/fencing/batch_test.ts"],
    why: "A command that came twice in one group would be handled twice.",
  },
  {
    name: "one id twice in a batch",
    file: BATCH,
    find:
      'if (save.events.some(({ actorId, id }) => this.#ids.get(actorId)?.has(id))) return "later";',
    replace: "",
    tests: ["tests/store/fencing/batch_test.ts"],
    why: "An event would be stored twice.",
  },
  {
    name: "saves under a claim that is lost",
    file: "store/fencing/waiting.ts",
    find: "const lost = entry.claims.find((claim) => !claims.holds(claim));",
    replace: "const lost = entry.claims.find((claim) => claims === undefined && claim);",
    tests: ["tests/store/fencing/deposed_test.ts"],
    filter: "All saves that a deposed owner had in line",
    why: "Saves that nobody can store any more would wait for their deadline.",
  },
];
