import { assert, assertEquals, assertThrows } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { Child } from "../../support/child.ts";
import { assertUnbroken, storedIn } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const ROUNDS = 200;

interface Report {
  readonly id: string;
  readonly kind: string;
  readonly currentVersion: number;
}

const SCRIPT = new URL("./race_worker.ts", import.meta.url);

/** A writer in a process of its own; see `race_worker.ts`. */
class Writer extends Child implements AsyncDisposable {
  constructor(...args: string[]) {
    super(SCRIPT, args);
  }

  /** Resolves when the writer waits for its first version. */
  async ready(): Promise<void> {
    assertEquals(await this.line(), "ready");
  }

  /** Tries to save `version`; gives how that went. */
  async save(version: number): Promise<Report> {
    await this.tell(String(version));
    return JSON.parse(await this.line());
  }

  /** Ends the process, which must have nothing left to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    assertEquals((await this.end()).code, 0);
    assertEquals(await this.next(), undefined);
  }
}

/** Two processes try to save the same versions at the same time; gives both reports of each. */
async function race(scene: Scene, ...guard: string[]): Promise<[Report, Report][]> {
  // An unguarded connection is good for saves alone: what makes the stream expects an empty one.
  const connection = await scene.connect();
  const made = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
  await made[Symbol.asyncDispose]();
  const args = [scene.server.url, scene.namespace, "order-1", ...guard];
  await using one = new Writer(...args);
  await using two = new Writer(...args);
  await Promise.all([one.ready(), two.ready()]);
  const rounds: [Report, Report][] = [];
  for (let version = 1; version <= ROUNDS; version++) {
    rounds.push(await Promise.all([one.save(version), two.save(version)]));
  }
  return rounds;
}

/** Each version has one winner, and the other gets the conflict. */
function assertOneWinnerEach(rounds: readonly [Report, Report][]): void {
  for (const [at, reports] of rounds.entries()) {
    assertEquals(
      reports.map(({ kind }) => kind).sort(),
      ["conflict", "saved"],
      `Version ${at + 1}`,
    );
    const loser = reports.find(({ kind }) => kind === "conflict")!;
    assertEquals(loser.currentVersion, at + 1);
  }
}

natsTest(`Two processes race for ${ROUNDS} versions: each is won exactly once`, async (scene) => {
  const rounds = await race(scene);
  assertOneWinnerEach(rounds);
  const winners = rounds.map((reports) => reports.find(({ kind }) => kind === "saved")!.id);
  const wins = rounds.filter(([one]) => one.kind === "saved").length;
  assert(wins > 0 && wins < ROUNDS, `One process won ${wins} of ${ROUNDS}: that was no race`);
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
  const events = await store.getEvents("order-1");
  assertEquals(events.map(({ id }) => id), winners);
  const stored = await storedIn(connection, store.stream);
  assertEquals(stored.map(({ id }) => id), winners);
  assertUnbroken(stored);
});

natsTest("Control: without the expected sequence versions are won twice", async (scene) => {
  const rounds = await race(scene, "unguarded");
  assertThrows(() => assertOneWinnerEach(rounds));
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
  const stored = await storedIn(connection, store.stream, { guarded: false });
  assertThrows(() => assertUnbroken(stored));
});
