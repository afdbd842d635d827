/**
 * Each part of the library in a few rounds, all of them at work for a moment, and what judges them: parts
 * that leak one thing each, which has to be noticed. `deno task chaos leaks steady` takes its time.
 *
 * @module
 */

import { assertMatch, assertRejects } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../../../mod.ts";
import { unlessSkipped } from "../../support/skip.ts";
import { Chaos } from "../scenario.ts";
import { LeakBed } from "./leaks.ts";
import { type Part, PARTS } from "./parts.ts";
import { steadily } from "./steady.ts";

const ROUNDS = 4;

/** A part that leaks, closes what it has left when its test is over, and is to be told by this. */
interface Control {
  readonly problem: RegExp;
  readonly part: (rest: AsyncDisposableStack) => Part;
}

const CONTROLS: Readonly<Record<string, Control>> = {
  "a subscription to a store that is never ended": {
    problem: /\d × subscription .*, \d × consumer on /,
    part: (rest) => async ({ connection, namespace }) => {
      const store = rest.use(await JetStreamEventStore.open(connection, { namespace }));
      const event = { id: crypto.randomUUID(), actorId: crypto.randomUUID(), version: 1 };
      const facts = { eventType: "Happened", data: "it", timestamp: new Date() };
      await store.saveEvent({ ...event, ...facts });
      await store.subscribe()[Symbol.asyncIterator]().next();
      return [];
    },
  },
  "a subscription of the connection": {
    problem: /9 × subscription left/,
    part: (rest) => ({ connection }) => {
      const subscription = connection.subscribe("left");
      rest.defer(() => subscription.unsubscribe());
      return Promise.resolve([]);
    },
  },
  "a listener of the connection": {
    problem: /9 × listener/,
    part: (rest) => ({ connection }) => {
      const status = connection.status() as unknown as { stop(): void };
      rest.defer(() => status.stop());
      return Promise.resolve([]);
    },
  },
  "a connection": {
    problem: /9 × connection/,
    part: (rest) => async ({ connection }) => {
      const other = await connect({ servers: connection.getServer() });
      rest.defer(() => other.close());
      return [];
    },
  },
  "a stream for each round": {
    problem: /1 × stream /,
    part: () => async ({ connection, namespace }) => {
      const own = { namespace: `${namespace}-${crypto.randomUUID()}` };
      await using store = await JetStreamEventStore.open(connection, own);
      return [store];
    },
  },
  "a timer": {
    problem: /9 × timer \(of 60000, /,
    part: (rest) => () => {
      const timer = setTimeout(() => {}, 60_000);
      rest.defer(() => clearTimeout(timer));
      return Promise.resolve([]);
    },
  },
  "a file": {
    problem: /9 × file handle of /,
    part: (rest) => async () => {
      rest.use(await Deno.open(new URL(import.meta.url)));
      return [];
    },
  },
  "a store that a signal refers to": {
    problem: /9 objects of JetStreamEventStore/,
    part: (rest) => async ({ connection, namespace, signal }) => {
      await using store = await JetStreamEventStore.open(connection, { namespace });
      const listen = () => void store.namespace;
      signal.addEventListener("abort", listen);
      rest.defer(() => signal.removeEventListener("abort", listen));
      return [store];
    },
  },
  "memory": {
    problem: /\d+ bytes of 2 rounds in the heap/,
    part: (rest) => () => {
      const kept = Array.from({ length: 50_000 }, (_, at) => at / 3);
      rest.defer(() => void kept.pop());
      return Promise.resolve([]);
    },
  },
};

Deno.test("Parts that are opened, used and closed leave nothing behind", async (test) => {
  await using bed = await LeakBed.open(new Chaos(5, 0));
  for (const [name, part] of Object.entries(PARTS)) {
    await test.step(name, async () => void await bed.check(name, part, { rounds: ROUNDS }));
  }
});

Deno.test("Control: a part that leaves something behind is noticed", async (test) => {
  await using bed = await LeakBed.open(new Chaos(5, 0));
  for (const [what, { part, problem }] of Object.entries(CONTROLS)) {
    const skip = what === "a file" && Deno.build.os !== "linux" && "only Linux lists open files";
    const fn = async () => {
      await using rest = new AsyncDisposableStack();
      const options = { rounds: ROUNDS, patience: 0 };
      const check = bed.check(`control-${what.replaceAll(" ", "-")}`, part(rest), options);
      const { message } = await assertRejects(() => check, Error, "leaks");
      assertMatch(message, problem);
    };
    await test.step({ ...unlessSkipped(what, skip), fn });
  }
});

const SHORT = { samples: 2, filling: 32 * 1024 };

Deno.test("Parts at work leave nothing behind, and fill no more than their caches", async () => {
  await steadily(new Chaos(5, 1_000), SHORT);
});

Deno.test("Control: memory that each round of steady work keeps is noticed", async () => {
  const kept: number[][] = [];
  const also = () => void kept.push(Array.from({ length: 400_000 }, (_, at) => at / 3));
  const work = () => steadily(new Chaos(5, 1_000), { ...SHORT, also });
  await assertRejects(work, Error, "The heap grows under steady load");
});
