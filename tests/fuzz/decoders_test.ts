import { assert } from "@std/assert";
import { decodeAnswer, decodeCommand, encodeMessage } from "../../cluster/commands/messages.ts";
import { decodeHeartbeat, encodeHeartbeat } from "../../cluster/membership/heartbeat.ts";
import {
  decodeStep,
  decodeView,
  encodeStep,
  encodeView,
  originIn,
} from "../../cluster/membership/view_json.ts";
import { formatShardMap, parseShardMap } from "../../cluster/sharding/shard_map_json.ts";
import { parseRequest } from "../../bus/request.ts";
import { isOfLaterFormat } from "../../cluster/stored_format.ts";
import { decodeToken, encodeToken } from "../../store/base/token.ts";
import { createEvent } from "../../store/event.ts";
import type { Position } from "../../store/format/position.ts";
import { Layout } from "../../store/format/layout.ts";
import { decodeSnapshot } from "../../store/snapshot/body.ts";
import { contentOf, EventDecoder } from "../../store/format/decode.ts";
import { assertClear, assertUnpolluted, Hostile, SEED } from "./hostile.ts";

const CASES = Deno.env.get("AETHER_LONG") === undefined ? 100_000 : 5_000_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const node = { nodeId: "a", incarnation: "1", metadata: { zone: "one" }, capacity: 1 };
const command = {
  ...{ id: "c-1", actorId: "order-1", command: { type: "pay" }, within: 100, isDoubtful: true },
  calls: [{ id: "c-0", actorId: "order-0" }],
  trace: { traceparent: "00-1-2-01" },
  landmark: { sequence: 7, eventId: "e-1" },
};
const event = createEvent({
  ...{ eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { total: 5, items: [1] } },
  metadata: { correlationId: "x" },
});
const facts = {
  ...{ sequence: 5 as Position, actorId: "order-1", version: 1, schema: 1 },
  rest: () => ({ id: event.id, eventType: event.eventType, timestamp: event.timestamp }),
};
const snapshot = {
  ...{ actorId: "order-1", name: "state", version: 3, schemaVersion: 1, state: { total: 1 } },
  timestamp: new Date(0),
};
const events = new EventDecoder({ codec: undefined, upcasters: {} });
const layout = new Layout("shop");

/** All that turns somebody's bytes into ours, with bytes that are good. */
const DECODERS: Record<
  string,
  [good: Uint8Array | string, decode: (bytes: Uint8Array) => unknown]
> = {
  event: [encoder.encode(JSON.stringify(event)), (it) => events.decode(contentOf(it), facts)],
  snapshot: [
    encoder.encode(JSON.stringify(snapshot)),
    (it) => decodeSnapshot(it, snapshot, undefined),
  ],
  command: [encodeMessage(command as never), decodeCommand],
  answer: [
    encodeMessage({ kind: "failed", error: { name: "E", message: "no" } } as never),
    decodeAnswer,
  ],
  heartbeat: [
    encodeHeartbeat({ nodeId: "a", incarnation: "1", server: "n1", load: 2 }, 7),
    decodeHeartbeat,
  ],
  view: [
    encodeView(
      { version: 3, members: [{ ...node, status: "up" }], coordinator: "a", departed: [] } as never,
      "writer",
    ),
    decodeView,
  ],
  step: [encodeStep({ type: "join", node } as never, "origin"), decodeStep],
  origin: [encodeStep({ type: "join", node } as never, "origin"), originIn],
  format: [encoder.encode('{"format":7}'), (it) => isOfLaterFormat(it, 1)],
  map: [
    formatShardMap({ version: 7, shards: [node, undefined, node] }),
    (it) => parseShardMap(decoder.decode(it), 3),
  ],
  token: [encodeToken("order é.*>"), (it) => decodeToken(decoder.decode(it))],
  subject: [layout.event("order-1", 64), (it) => layout.actorOf(decoder.decode(it))],
  namespace: ["shop.orders.*", (it) => parseRequest(decoder.decode(it), {})],
  filter: ["order-*", (it) => parseRequest("shop", { actorPattern: decoder.decode(it) })],
};

Deno.test(`${CASES.toLocaleString("en")} hostile bytes are decoded or refused in our words`, async () => {
  const hostile = new Hostile(SEED);
  const names = Object.keys(DECODERS);
  const seen: Record<string, { taken: number; refused: number }> = {};
  for (const name of names) {
    const [good, decode] = DECODERS[name]!;
    const bytes = typeof good === "string" ? encoder.encode(good) : good;
    const counts = seen[name] = { taken: 0, refused: 0 };
    // What is good is taken: a decoder that refuses everything would pass else.
    assert(await decode(bytes.slice()) !== undefined, name);
    for (let at = 0; at < Math.ceil(CASES / names.length); at++) {
      const input = hostile.bytes(bytes);
      try {
        const value = await decode(input.slice());
        if (value === undefined) counts.refused++;
        else counts.taken++;
      } catch (error) {
        counts.refused++;
        assertClear(error, `${name} of ${decoder.decode(input).slice(0, 200)} (seed ${SEED})`);
      }
    }
    assertUnpolluted();
  }
  const { origin: _origin, format: _format, ...rest } = seen; // These two look, and refuse nothing.
  for (const [name, { refused }] of Object.entries(rest)) assert(refused > 0, name);
});
