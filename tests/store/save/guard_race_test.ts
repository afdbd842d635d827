import { assert, assertEquals } from "@std/assert";
import { type Event, type ExpectedVersion, JetStreamEventStore } from "../../../store/mod.ts";
import { attemptWith } from "./batch_bed.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tally,
  tampered,
} from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { assertGuarded, type Guarded, staleGuards } from "./guard_check.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const RACES = LONG ? 1_000 : 200;

/** How many actors are depended on. */
const GUARDED = 3;

/** Commits that depend on actors, while others write those actors all the time. */
class Storm {
  readonly saves: Guarded[] = [];
  readonly #stores: readonly JetStreamEventStore[];
  readonly #work: Promise<void>;
  readonly #serials = new Map<string, number>();
  #races = 0;
  #stopped = false;
  #progress = Promise.withResolvers<void>();

  constructor(stores: readonly JetStreamEventStore[]) {
    this.#stores = stores;
    this.#work = Promise.all([
      ...Array.from({ length: GUARDED }, (_, at) => this.#write(at)),
      ...stores.flatMap((store, at) => [this.#race(store, at), this.#raceToExist(store, at)]),
    ]).then(() => {});
  }

  /** Resolves when `count` more guarded commits have ended. */
  async further(count: number): Promise<void> {
    for (const goal = this.#races + count; this.#races < goal;) await this.#progress.promise;
  }

  async stop(): Promise<readonly Guarded[]> {
    this.#stopped = true;
    await this.#work;
    return this.saves;
  }

  /** Writes a guarded actor, with a look at it now and then so that guards have a chance. */
  async #write(at: number): Promise<void> {
    const store = this.#stores[at % this.#stores.length]!;
    for (let version = 1; !this.#stopped;) {
      const outcome = await attempt(store, fact(`guard-${at}`, version));
      this.saves.push({ outcome, expect: [] });
      if (outcome.kind === "saved" || outcome.kind === "conflict") version++;
      for (let looks = Math.random() * 4; looks > 1; looks--) await this.#versionOf(store, at);
    }
  }

  async #race(store: JetStreamEventStore, seat: number): Promise<void> {
    while (!this.#stopped) {
      const count = 1 + Math.floor(Math.random() * 2);
      const from = Math.floor(Math.random() * GUARDED);
      const expect: ExpectedVersion[] = [];
      for (let at = 0; at < count; at++) {
        const guard = (from + at) % GUARDED;
        const version = await this.#versionOf(store, guard);
        if (version !== undefined) expect.push({ actorId: `guard-${guard}`, version });
      }
      if (expect.length > 0) await this.#guarded(store, `order-${seat}`, expect);
    }
  }

  /** An actor is created while a commit depends on that it is not there. */
  async #raceToExist(store: JetStreamEventStore, seat: number): Promise<void> {
    const other = this.#stores[(seat + 1) % this.#stores.length]!;
    for (let round = 0; !this.#stopped; round++) {
      const actorId = `once-${seat}-${round}`;
      const [created] = await Promise.all([
        attempt(other, fact(actorId, 1)),
        this.#guarded(store, `bill-${seat}`, [{ actorId, version: 0 }]),
      ]);
      this.saves.push({ outcome: created, expect: [] });
    }
  }

  /** Saves one event, two of one actor, or one each of two, depending on `expect`. */
  async #guarded(
    store: JetStreamEventStore,
    actorId: string,
    expect: readonly ExpectedVersion[],
  ): Promise<void> {
    const serial = (this.#serials.get(actorId) ?? 0) + 1;
    this.#serials.set(actorId, serial);
    const version = serial * 2;
    const events: Event[] = [fact(actorId, version)];
    if (serial % 3 === 1) events.push(fact(actorId, version + 1));
    if (serial % 3 === 2) events.push(fact(`${actorId}-too`, version));
    this.saves.push({ outcome: await attemptWith(store, events, { expect }), expect });
    this.#races++;
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }

  async #versionOf(store: JetStreamEventStore, guard: number): Promise<number | undefined> {
    try {
      return await store.getLatestVersion(`guard-${guard}`, { fresh: true });
    } catch {
      return undefined; // The server is out of reach.
    }
  }
}

/** Takes the guards on other actors off. */
function withoutGuards(fields: Parameters<Parameters<typeof tampered>[1]>[0]): void {
  if (!fields.has("Nats-Expected-Last-Subject-Sequence-Subject")) return;
  fields.delete("Nats-Expected-Last-Subject-Sequence-Subject");
  fields.delete("Nats-Expected-Last-Subject-Sequence");
}

/** A store on each server, on a connection that `wrap` has its way with. */
async function openAll(
  scene: Scene,
  replicas: number,
  wrap: typeof tampered = (connection) => connection,
): Promise<JetStreamEventStore[]> {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (let at = 0; at < 3; at++) {
    const own = scene.servers[at % scene.servers.length]!.url;
    const servers = [own, ...scene.servers.map(({ url }) => url)];
    const connection = wrap(await scene.connect({ servers, noRandomize: true }), withoutGuards);
    stores.push(await JetStreamEventStore.open(connection, { namespace, replicas }));
  }
  return stores;
}

async function dispose(stores: readonly JetStreamEventStore[]): Promise<void> {
  for (const store of stores) await store[Symbol.asyncDispose]();
}

/** Checks all reports, and that no commit had a stale guard. */
async function check(scene: Scene, stream: string, saves: readonly Guarded[]): Promise<void> {
  const outcomes = saves.map(({ outcome }) => outcome);
  const guarded = saves.filter(({ expect }) => expect.length > 0);
  const { saved = 0, conflict = 0 } = tally(guarded.map(({ outcome }) => outcome));
  assert(saved > RACES / 20 && conflict > RACES / 20, `${saved} saved, ${conflict} in conflict`);
  const fates = new Map<Outcome, string>();
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") fates.set(outcome, await settled(outcome));
  }
  const stored = await storedIn(await scene.connect(), stream);
  assertTruthful(outcomes, stored);
  const ids = new Set(stored.map(({ id }) => id));
  for (const [{ events }, outcome] of fates) {
    // Over another connection, with nothing newer of the actor, the outcome is unknown.
    if (outcome !== "unknown") {
      assertEquals(outcome, ids.has(events[0]!.id) ? "saved" : "not-saved");
    }
  }
  const checked = assertGuarded(guarded, stored);
  if (LONG) console.log(`${checked} accepted of ${guarded.length}, ${conflict} in conflict`);
}

natsTest(`${RACES} guarded commits on one server: none with a stale guard`, async (scene) => {
  const stores = await openAll(scene, 1);
  const storm = new Storm(stores);
  await storm.further(RACES);
  await check(scene, stores[0]!.stream, await storm.stop());
  await dispose(stores);
});

clusterTest(`${RACES} guarded commits on replicas: none with a stale guard`, async (scene) => {
  const stores = await openAll(scene, 3);
  const storm = new Storm(stores);
  await storm.further(RACES);
  await check(scene, stores[0]!.stream, await storm.stop());
  await dispose(stores);
});

clusterTest(
  `${RACES} guarded commits while leaders step down and are killed: none with a stale guard`,
  async (scene) => {
    const { cluster } = scene;
    const stores = await openAll(scene, 3);
    const { stream } = stores[0]!;
    const connection = await scene.connect();
    const storm = new Storm(stores);
    for (let round = 0; round < 4; round++) {
      await storm.further(RACES / 8);
      await connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, "{}", {
        timeout: 5_000,
      });
    }
    for (let round = 0; round < (LONG ? 4 : 1); round++) {
      await storm.further(RACES / 8);
      const leader = await cluster.leaderOf(stream);
      await leader.kill();
      await storm.further(RACES / 8);
      await leader.restart();
      await cluster.waitHealthy();
    }
    await storm.further(RACES / 4);
    await check(scene, stream, await storm.stop());
    await dispose(stores);
  },
);

clusterTest("Control: without the guards commits are accepted too late", async (scene) => {
  const stores = await openAll(scene, 3, tampered);
  const storm = new Storm(stores);
  await storm.further(RACES);
  const saves = await storm.stop();
  const stored = await storedIn(await scene.connect(), stores[0]!.stream, { guarded: false });
  const stale = staleGuards(saves.filter(({ expect }) => expect.length > 0), stored);
  assert(stale.length > 0, "No commit was too late: the check would see nothing");
  await dispose(stores);
});
