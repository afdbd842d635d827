import { assert, assertEquals } from "@std/assert";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import {
  createEvent,
  type EventStore,
  isAetherError,
  JetStreamEventStore,
  rehydrate,
  verify,
} from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import { facts } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { readLog, type Stored } from "../chaos/stored_log.ts";
import { assertClear, assertUnpolluted, Hostile, SEED } from "./hostile.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const MESSAGES = LONG ? 20_000 : 500;
const NAMES = [
  ..."Op,Id,Type,Version,Previous,Count,Index,Sizes,Versions,Schema,Schemas,Command,Saves,Fence,Next"
    .split(",").map((name) => `Aether-${name}`),
  "Nats-Expected-Foo",
];

/** The messages of one commit each: a single event, a run, a group with commands, a receipt. */
async function samples(store: EventStore): Promise<void> {
  await store.saveEvent(facts("sample-1", 1, 1)[0]!);
  await store.saveEvents(facts("sample-2", 1, 5));
  await store.saveEvents([...facts("sample-3", 1, 2), ...facts("sample-4", 1, 3)]);
  const metadata = { correlationId: "c" };
  await store.saveEvent(createEvent({
    ...{ eventType: "Happened", actorId: "sample-5", version: 1, data: { a: [1, { b: null }] } },
    metadata,
  }));
}

/** The headers of a message with one of them changed, taken out or added. */
function hostileHeaders(hostile: Hostile, { header }: Stored): MsgHdrs {
  const fields = headers();
  const good = new Map(NAMES.map((name) => [name, header(name)] as const));
  const [name, value] = hostile.pick([...good]);
  if (hostile.random() < 0.2) good.delete(name);
  // NATS takes no line ends, and nats.js no characters beyond ASCII.
  else good.set(name, hostile.text(value).replace(/[^\x20-\x7e]/g, "?"));
  for (const [name, value] of good) if (value !== "") fields.set(name, value);
  return fields;
}

natsTest(
  `${MESSAGES} hostile messages harm no other actor, and are told in our words`,
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await samples(store);
    const layout = new Layout(namespace);
    const log = (await readLog(connection, namespace))
      .filter(({ subject }) => layout.actorOf(subject)?.startsWith("sample-"));
    const hostile = new Hostile(SEED);
    const bad: string[] = [];
    let good = log.length;
    for (let at = 0; at < MESSAGES; at++) {
      const actorId = `bad-${at}`;
      bad.push(actorId);
      const sample = hostile.pick(log);
      const message = {
        data: hostile.random() < 0.5 ? hostile.bytes(sample.data) : sample.data,
        headers: hostileHeaders(hostile, sample),
      };
      const subject = layout.event(actorId, store.shards);
      await connection.request(subject, message.data, {
        headers: message.headers,
        timeout: 10_000,
      });
      if (at % 20 === 0) {
        await store.saveEvent(facts(`good-${at}`, 1, 1)[0]!);
        good++;
      }
    }

    // A store that has seen none of it.
    await using fresh = await JetStreamEventStore.open(await scene.connect(), { namespace });
    const refused = { reads: 0 };
    const tries = async (what: string, work: () => Promise<unknown>) => {
      try {
        await work();
      } catch (error) {
        refused.reads++;
        assertClear(error, `${what} (seed ${SEED})`);
      }
    };
    const decider = {
      ...{ initialState: () => 0, decide: () => [] },
      evolve: (state: number) => state + 1,
    };
    for (let at = 0; at < bad.length; at += 50) {
      await Promise.all(
        bad.slice(at, at + 50).map(async (actorId) => {
          await tries(`getEvents of ${actorId}`, () => fresh.getEvents(actorId));
          await tries(`errors of ${actorId}`, async () => {
            for (const { error } of (await fresh.getEventsWithErrors(actorId)).errors) {
              assertClear(error, actorId);
            }
          });
          await tries(`version of ${actorId}`, () => fresh.getLatestVersion(actorId));
          await tries(`rehydrate of ${actorId}`, () => rehydrate(fresh, actorId, decider));
          await tries(`save to ${actorId}`, () => fresh.saveEvent(facts(actorId, 2, 1)[0]!));
        }),
      );
    }
    assertUnpolluted();
    assert(refused.reads > MESSAGES, `${refused.reads} refused`);
    for (let at = 0; at < MESSAGES; at += 20) {
      assertEquals((await fresh.getEvents(`good-${at}`)).length, 1);
    }
    assert(await wholeStore(fresh) >= good);
    assertEquals((await verify(fresh)).problems.length > 0, true);
    assertUnpolluted();
  },
  { timeout: 120_000 } as never,
);

/** Reads the whole store past all that is corrupt, and gives how many events of good actors it has. */
async function wholeStore(store: JetStreamEventStore): Promise<number> {
  let events = 0;
  let from: number | undefined;
  for (;;) {
    try {
      for await (const { actorId, sequence } of store.readAll(from === undefined ? {} : { from })) {
        if (!actorId.startsWith("bad-")) events++;
        from = sequence + 1;
      }
      return events;
    } catch (error) {
      if (
        !isAetherError(error, "CorruptEventError") && !isAetherError(error, "UnknownSchemaError")
      ) {
        throw error;
      }
      const next = (error as { sequence: number }).sequence + 1;
      assert(from === undefined || next > from, `it stays at ${from}: ${error}`);
      from = next;
    }
  }
}
