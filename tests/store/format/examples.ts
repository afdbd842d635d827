/**
 * The examples of `docs/design/storage-format.md`: one stream with each kind of message, written
 * by the stores themselves, with ids and times that are the same in each run.
 *
 * @module
 */

import { commandLogOf } from "../../../store/command_log.ts";
import { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import type { InnerSaveOptions } from "../../../store/format/save_options.ts";
import { type Codec, type Event, JetStreamEventStore } from "../../../store/mod.ts";
import type { Scene } from "../../support/fixture.ts";
import { bytesIn, type RawMessage, rawMessages } from "./raw_messages.ts";

/** The namespace of the examples. */
const NAMESPACE = "shop";

/** When all of it happened. */
const TIME = "2026-01-02T03:04:05.678Z";

/** The most characters of a line that is shown whole. */
const WIDTH = 400;

/** Stands for a codec that encrypts: each byte is the complement of what JSON has there. */
const COMPLEMENT: Codec<Event> = {
  encode: (event) => complement(new TextEncoder().encode(JSON.stringify(event))),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(complement(bytes))),
};

/** Writes the examples, and gives all messages of their stream. */
export async function exampleMessages(scene: Scene): Promise<RawMessage[]> {
  const connection = await scene.connect();
  using _ids = countedIds();
  await using store = await JetStreamEventStore.open(connection, {
    namespace: NAMESPACE,
    upcasters: { OrderPlaced: [(data) => data] },
  });
  const log = commandLogOf(store)!;

  await store.saveEvent(eventOf("order-1", 1, "OrderPlaced", { total: 99.99 }));
  await store.saveEvents(
    [
      eventOf("order-1", 2, "OrderPaid", { method: "card" }),
      eventOf("order-1", 3, "OrderPacked", null),
    ],
    { command: "pay:1" } as InnerSaveOptions,
  );
  await store.saveEvents([
    eventOf("order-1", 5, "NoteAdded", "by hand"),
    eventOf("order-1", 8, "NoteAdded", "fragile"),
  ]);
  await store.saveEvents(
    [9, 10, 11, 12].map((version) => eventOf("order-1", version, "Moved", version)),
    {
      parts: [{ events: 1, command: "m-1" }, { events: 2 }, { events: 1, command: "m-3" }],
    } as InnerSaveOptions,
  );
  await using secret = await JetStreamEventStore.open(connection, {
    namespace: NAMESPACE,
    codec: COMPLEMENT,
  });
  await secret.saveEvents([1, 2].map((version) => eventOf("safe-1", version, "Kept", version)));
  await store.saveEvents(
    [1, 2, 3].map((version) => eventOf("album-1", version, "Scanned", "x".repeat(30_000))),
  );
  await store.saveEvents(
    [
      eventOf("order-1", 13, "StockAssigned", ["stock-7"]),
      eventOf("stock-7", 1, "StockReserved", { pieces: 3 }),
    ],
    { expect: [{ actorId: "user-4", version: 0 }] },
  );
  const order = (await log.search("order-1")).end;
  const refused = { refused: "too late" };
  await log.record({ actorId: "order-1", commandId: "c-7", end: order, outcome: refused });
  const nobody = { version: 0, sequence: 0 };
  await log.record({ actorId: "order-2", commandId: "c-8", end: nobody, outcome: refused });

  await using owner = await FencedEventStore.open(connection, {
    namespace: NAMESPACE,
    nodeId: "node-a",
    incarnation: "life-1",
  });
  await owner.claim(owner.shardOf("cart-1"), 1);
  await owner.saveEvent(eventOf("cart-1", 1, "CartOpened", null));
  return await rawMessages(connection, `AETHER_${NAMESPACE}`);
}

/** A message as the page shows it. */
export function shown({ seq, subject, headers, data }: RawMessage): string {
  const [, ...lines] = atob(headers).trimEnd().split("\r\n");
  return [
    `${subject} @ ${seq}`,
    ...lines.map((line) => shortened(line)),
    "",
    ...bodyLines(bytesIn(data)),
  ].join("\n").trimEnd() + "\n";
}

function bodyLines(data: Uint8Array): string[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return [`(${data.length} bytes) ${btoa(String.fromCharCode(...data.subarray(0, 24)))}…`];
  }
  const timed = text.replace(/"created":"[^"]*"/, `"created":"${TIME}"`);
  return timed.split("\n").map((line) => shortened(line));
}

/** The line with the middle of a long one left out. */
function shortened(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, 100)}…${line.slice(-60)}`;
}

function eventOf(actorId: string, version: number, eventType: string, data: unknown): Event {
  const id = `${actorId}@${version}`;
  return { id, eventType, actorId, version, data, timestamp: new Date(TIME) };
}

function complement(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => 255 - byte);
}

/** Until it is disposed of, each random UUID is the next one of a count. */
function countedIds(): Disposable {
  const random = crypto.randomUUID;
  let count = 0;
  crypto.randomUUID = () => `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`;
  return { [Symbol.dispose]: () => void (crypto.randomUUID = random) };
}
