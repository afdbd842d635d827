/** Mutants of projections, snapshots, buckets and writes by compare-and-set. */
import type { Mutant } from "../mutant.ts";

const OWNER = "store/projection/partition_owner.ts";
const OWNER_TESTS = ["tests/store/projection/partition_owner_test.ts"];
const FENCE_TESTS = ["tests/store/projection/fence_test.ts"];
const PROJECTION_TESTS = ["tests/store/projection/projection_test.ts"];
const SETTLED = "store/nats/settled_write.ts";
const SETTLED_TESTS = ["tests/store/nats/settled_write_test.ts"];
const BUCKET_TESTS = ["tests/store/kv/bucket_test.ts"];

/** Faults in checkpoints, and who may write them. */
export const PROJECTION: readonly Mutant[] = [
  {
    name: "a checkpoint that another owner has saved",
    file: OWNER,
    find: "    if (current?.body === body) return;\n",
    replace: "    if (current?.body !== undefined || body) return;\n",
    tests: [...OWNER_TESTS, ...FENCE_TESTS],
    why: "A worker that lost its partition would go on, and each event have two effects.",
  },
  {
    name: "a commit whose answer was lost, done again",
    file: OWNER,
    find: "if ((current?.revision ?? 0) !== this.#revision) return await this.#findOwn(next);",
    replace: "void current;",
    tests: OWNER_TESTS,
    why: "An event would have its effect twice.",
  },
  {
    name: "a transaction that commits without its checkpoint",
    file: OWNER,
    find: "if (!await store.save(this.#key, next, tx)) throw stale;",
    replace: "if (!await store.save(this.#key, next, tx)) void stale;",
    tests: FENCE_TESTS,
    why: "A fenced worker's effects would be stored.",
  },
  {
    name: "a claim that takes nothing",
    file: OWNER,
    find: "this.#state = { ...state, identity, owner: this.#owner };",
    replace: "this.#state = { ...state, identity, owner: state.owner };",
    tests: OWNER_TESTS,
    why: "The owner before would go on beside the new one.",
  },
  {
    name: "a checkpoint of another store",
    file: OWNER,
    find: "if (state.sequence === 0 || state.identity === identity) return;",
    replace: "if (state.sequence >= 0 || state.identity === identity) return;",
    tests: ["tests/store/projection/regress_test.ts"],
    filter: "refuses another store",
    why: "A read model would go on in a store that it knows nothing of.",
  },
  {
    name: "a checkpoint whose event is not looked at",
    file: "store/projection/partition.ts",
    find: "      if (found?.sequence === sequence && isSame) return;\n",
    replace: "      if (found?.sequence === sequence || isSame || actorId) return;\n",
    tests: ["tests/store/projection/regress_test.ts"],
    filter: "restored stream",
    why: "A read model would hold effects of events that a restore has undone.",
  },
  {
    name: "events that come twice to a partition",
    file: "store/projection/partition_buffer.ts",
    find: "  give(event: Arrival<E>): void {\n    if (event.sequence <= this.#position) return;\n",
    replace: "  give(event: Arrival<E>): void {\n",
    tests: ["tests/store/projection/reader_test.ts"],
    why: "A reader that begins again would give events twice.",
  },
  {
    name: "a later event of a parked actor that is handled",
    file: "store/projection/partition.ts",
    find:
      "      if (this.#isParked(event.actorId)) owner.state = passed(owner.state, event);\n      else await",
    replace:
      "      if (!event.actorId) owner.state = passed(owner.state, event);\n      else await",
    tests: PROJECTION_TESTS,
    filter: "Parking keeps the order",
    why: "The events of an actor would be handled out of their order.",
  },
  {
    name: "more parked actors than allowed",
    file: "store/projection/partition.ts",
    find: "const isFull = owner.state.parked.length >= failure.maxParked;",
    replace: "const isFull = owner.state.parked.length < 0 && failure.maxParked > 0;",
    tests: PROJECTION_TESTS,
    filter: "Too many parked actors",
    why: "A handler that always fails would park everything, and nobody hear of it.",
  },
  {
    name: "a rebuild that takes over too soon",
    file: "store/projection/rebuild.ts",
    find: "  if ((await unhandled(parts, next, { upTo })).events > 0) return SOON;\n",
    replace: "  void upTo;\n  void unhandled;\n  void SOON;\n",
    tests: FENCE_TESTS,
    filter: "A rebuilt version takes over when",
    why: "Readers would see effects disappear for a while.",
  },
  {
    name: "a version that is not retired",
    file: "store/projection/checkpoints.ts",
    find: "const retired = { ...state, owner: crypto.randomUUID(), retired: true };",
    replace: "const retired = { ...state, owner: state.owner, retired: true };",
    tests: [...FENCE_TESTS, "tests/store/projection/crash_test.ts"],
    filter: "Readers see",
    why: "Its owner's save of unknown outcome would look like its own.",
    explained: "A save carries its whole text, `retired` too: an owner never takes it for its own.",
  },
  {
    name: "a checkpoint saved over a newer one",
    file: "store/projection/kv_checkpoints.ts",
    find: "      if ((seen?.revision ?? 0) !== revision - 1) return false;\n    }",
    replace: "      if ((seen?.revision ?? 0) > revision) return false;\n    }",
    tests: ["tests/store/projection/checkpoints_test.ts"],
    filter: "a save needs the stored revision",
    why: "A fenced worker would move the position of its successor.",
  },
  {
    name: "a checkpoint whose lost answer counts as refused",
    file: "store/projection/kv_checkpoints.ts",
    find: '    this.#seen.delete(key);\n    if (outcome.kind === "stale") return false;',
    replace: '    if (outcome.kind === "stale") return false;',
    tests: ["tests/store/projection/checkpoints_test.ts"],
    why: "The next save would build on a revision that is gone.",
    explained:
      "The next save is refused by the stored revision then, or reads it first: this line spares a request.",
  },
  {
    name: "a quota that is exceeded",
    file: "store/projection/quota.ts",
    find: "least + (at < over ? 1 : 0)",
    replace: "least + 1 + 0 * (at + over)",
    tests: ["tests/store/projection/share_test.ts"],
    filter: "Quotas are even",
    why: "The workers that come first would keep everything.",
  },
  {
    name: "reached() before the event is stored",
    file: "store/projection/reach.ts",
    find: "return this.#next === undefined && this.#isStored;",
    replace: "return this.#next === undefined;",
    tests: ["tests/store/projection/reached_test.ts"],
    filter: "that the store has not come to yet",
    why: "A caller would read before its own event was handled.",
  },
];

/** Faults in snapshots, buckets, and writes whose answer is lost. */
export const PLACES: readonly Mutant[] = [
  {
    name: "a write that does not know its own",
    file: SETTLED,
    find: "      if (unanswered.some(({ value }) => write.holds(state, value))) {\n",
    replace: "      if (unanswered.some(({ value }) => value === undefined)) {\n",
    tests: SETTLED_TESTS,
    why: "A change whose answer was lost would be made twice.",
  },
  {
    name: "a lost try that is forgotten too soon",
    file: SETTLED,
    find: "unanswered = unanswered.filter((sent) => sent.expects >= expects);",
    replace: "unanswered = unanswered.filter((sent) => sent.expects > expects);",
    tests: SETTLED_TESTS,
    why: "A try that is stored late would be taken for another writer's.",
  },
  {
    name: "a lost try that is never forgotten",
    file: SETTLED,
    find: "unanswered = unanswered.filter((sent) => sent.expects >= expects);",
    replace: "unanswered = unanswered.filter((sent) => sent.expects >= -1 - expects);",
    tests: SETTLED_TESTS,
    why: "The caller would hear that its write may be stored, which is impossible by then.",
  },
  {
    name: "an older snapshot over a newer one",
    file: "store/snapshot/log.ts",
    find: "next: (current) => current.version < version ? body : undefined,",
    replace: "next: (current) => current.version !== version ? body : undefined,",
    tests: ["tests/store/snapshot/jetstream_store_test.ts"],
    filter: "JetStreamSnapshotStore: an older snapshot",
    why: "An actor would be loaded from an older state again and again.",
  },
  {
    name: "a snapshot of another schema",
    file: "store/snapshot/body.ts",
    find: "    found.schemaVersion === schemaVersion &&\n",
    replace: "",
    tests: ["tests/store/snapshot/memory_store_test.ts", "tests/store/verify/state_rules_test.ts"],
    why: "A state of other rules would be gone on with.",
    explained: "The schema is part of the place too, so that no other one is ever found there.",
  },
  {
    name: "a snapshot of after the wanted version",
    file: "store/command/rehydrate.ts",
    find: "latest.version > (toVersion ?? Infinity)",
    replace: "latest.version > Infinity * (toVersion ?? 1)",
    tests: ["tests/store/command/unknown_saves_test.ts"],
    why: "A state of the past would hold events of after that.",
  },
  {
    name: "a key without its compare-and-set",
    file: "store/kv/bucket.ts",
    find: "    fields.set(EXPECT, String(revision));\n",
    replace: "    void EXPECT;\n",
    tests: BUCKET_TESTS,
    filter: "put() stores only on the expected revision",
    why: "Leases, maps and views would overwrite each other.",
  },
  {
    name: "a removed key that looks expired",
    file: "store/kv/bucket.ts",
    find: 'return message.header(RELEASED) === "" ? "removed" : "released";',
    replace: 'return message.header(RELEASED) === "" ? "released" : "released";',
    tests: ["tests/cluster/election/removed_test.ts"],
    filter: "after nats kv del, with a candidate",
    why: "A lease whose key somebody removed would be taken while its holder believes in it.",
  },
  {
    name: "a list from a replica that is behind",
    file: "store/kv/bucket.ts",
    find: "const isCurrent = page.messages.length > 0 ? page.upTo >= least : undefined ===",
    replace: "const isCurrent = page.messages.length > 0 ? page.upTo >= 0 : undefined ===",
    tests: BUCKET_TESTS,
    filter: "a list from a replica that is behind",
    why: "A node would overlook members or partitions that it has seen before.",
  },
];
