/**
 * Shows that nats-server stores a part of an atomic batch when `max_bytes` falls below what is stored
 * while the batch is committed, and may acknowledge it: it checks each message on its own once more.
 * `deno task deno run -A tests/chaos/server/quota_tear.ts [seconds]` counts such batches.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { createEvent, JetStreamEventStore } from "../../../store/mod.ts";
import { NatsServer } from "../../../tools/nats_server.ts";
import { api } from "../../support/jetstream_api.ts";
import { readLog } from "../stored_log.ts";
import { ledgerOf } from "../storm/ledger.ts";

const NAMESPACE = "tear";
const WRITERS = 8;

if (import.meta.main) {
  await using server = await NatsServer.start();
  const connection = await connect({ servers: server.url });
  const over = new AbortController();
  const told: string[][] = [];
  const others: string[][] = [];
  const store = await JetStreamEventStore.open(connection, {
    namespace: NAMESPACE,
    timeout: 1_000,
  });
  const { stream } = store;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let batch = 1; !over.signal.aborted; batch++) {
      const events = ["a", "b", "c", "d"].map((kind) =>
        createEvent({
          ...{ actorId: `${kind}-${writer}x${batch}`, version: 1, eventType: "Happened" },
          data: "x".repeat(100),
        })
      );
      const ids = events.map(({ id }) => id);
      await store.saveEvents(events).then(() => told.push(ids), () => others.push(ids));
    }
  });
  const { config } = await api<{ config: object }>(connection, `STREAM.INFO.${stream}`);
  const limit = (max_bytes: number) =>
    api(connection, `STREAM.UPDATE.${stream}`, { ...config, max_bytes });
  const end = performance.now() + 1_000 * Number(Deno.args[0] ?? 30);
  while (performance.now() < end) {
    const { state } = await api<{ state: { bytes: number } }>(connection, `STREAM.INFO.${stream}`);
    await limit(state.bytes + 1);
    await limit(-1);
  }
  over.abort();
  await Promise.all(writers);
  const { facts } = ledgerOf(await readLog(connection, NAMESPACE), NAMESPACE);
  const stored = new Set(facts.map(({ id }) => id));
  const isTorn = (ids: readonly string[]) =>
    ids.some((id) => stored.has(id)) && !ids.every((id) => stored.has(id));
  const lost = told.filter((ids) => !ids.every((id) => stored.has(id)));
  console.log({
    ...{ batches: told.length + others.length, acknowledged: told.length },
    ...{ "stored in part": [...told, ...others].filter(isTorn).length },
    "acknowledged, and not whole": lost.length,
  });
  await store[Symbol.asyncDispose]();
  await connection.close();
}
