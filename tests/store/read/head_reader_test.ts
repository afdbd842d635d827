import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { StreamCheck } from "../../../store/read/stream_check.ts";
import type { EndReader } from "../../../store/read/end_reader.ts";
import { HeadReader } from "../../../store/read/head_reader.ts";
import { versionIn } from "../../../store/read/message_facts.ts";
import { type Head, HeadCache } from "../../../store/read/heads.ts";
import { Layout } from "../../../store/format/layout.ts";
import { FetchedMessage } from "../../../store/nats/stored_message.ts";
import type { StreamApi } from "../../../store/nats/stream_api.ts";

/** An actor's messages; by how much version and sequence grow from each one to the next. */
type Steps = readonly (readonly [version: number, sequence: number])[];

/** A reader of a stream that holds the history of `steps` and what others wrote between. */
function open(steps: Steps): { reader: HeadReader; history: FetchedMessage[]; asked(): number } {
  const history: FetchedMessage[] = [];
  let version = 0;
  let sequence = 1;
  for (const [versions, sequences] of steps) {
    const previous = version;
    version += versions;
    sequence += sequences;
    const hdrs = btoa(
      `NATS/1.0\r\nAether-Version: ${version}\r\nAether-Previous: ${previous}\r\n\r\n`,
    );
    history.push(new FetchedMessage({ seq: sequence, subject: "order-1", hdrs }));
  }
  let asked = 0;
  const get = ({ seq }: { seq: number }) => {
    asked++;
    assert(Number.isSafeInteger(seq) && seq >= 1, `Asked for sequence ${seq}`);
    let [low, high] = [0, history.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (history[middle]!.sequence < seq) low = middle + 1;
      else high = middle;
    }
    return Promise.resolve(history[low]);
  };
  const api = { get, layout: new Layout("x") } as unknown as StreamApi;
  const reader = new HeadReader(
    api,
    new HeadCache(1),
    undefined as unknown as EndReader,
    undefined as unknown as StreamCheck,
    1,
    1000,
  );
  return { reader, history, asked: () => asked };
}

function headOf(history: readonly FetchedMessage[]): Head {
  const last = history.at(-1)!;
  return { version: versionIn(last), sequence: last.sequence };
}

Deno.test("find() gives the first event at a version or above, in any history", async () => {
  const step = fc.tuple(
    fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1000 })),
    fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 ** 6 })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.nat(),
      async (steps, at) => {
        const { reader, history, asked } = open(steps);
        const head = headOf(history);
        const wanted = 1 + at % (head.version + 1);
        const found = await reader.find("order-1", wanted, head);
        const first = history.find((message) => versionIn(message) >= wanted);
        assertEquals(found?.sequence, first?.sequence);
        assert(asked() <= 3 * Math.log2(head.sequence) + 4, `${asked()} requests`);
      },
    ),
    { numRuns: 2000 },
  );
});

const EVENLY: Record<string, Steps> = {
  "in one go": Array.from({ length: 200_000 }, () => [1, 1]),
  "among as many of others": Array.from({ length: 200_000 }, () => [1, 2]),
  "among many of others, with gaps": Array.from({ length: 200_000 }, (_, at) => [1 + at % 3, 9]),
  "in one go, then seldom": Array.from({ length: 50_000 }, (_, at) => [1, at < 49_000 ? 1 : 5000]),
  "seldom, then in one go": Array.from({ length: 50_000 }, (_, at) => [1, at < 1000 ? 5000 : 1]),
};

for (const [how, steps] of Object.entries(EVENLY)) {
  Deno.test(`find() takes few requests in a history written ${how}`, async () => {
    const { reader, history, asked } = open(steps);
    const head = headOf(history);
    for (const at of [1, 10, 700, 20_000, 48_500].map((back) => history.length - back)) {
      const before = asked();
      const found = await reader.find("order-1", versionIn(history[at]!), head);
      assertEquals(found?.sequence, history[at]!.sequence);
      assert(asked() - before <= 10, `${asked() - before} requests for message ${at}`);
    }
  });
}
