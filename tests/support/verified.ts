/**
 * The end of every storm: the stored messages keep all rules of the storage format.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { decodeToken } from "../../store/base/token.ts";
import { JetStreamEventStore, verify, type VerifyReport } from "../../store/mod.ts";

/** The problems that a failure shows. */
const SHOWN = 20;

/** Verifies the event store of `namespace`; throws where a rule is broken. */
export async function assertVerified(
  connection: NatsConnection,
  namespace: string,
): Promise<VerifyReport> {
  // Servers that were harmed may need a while.
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 30_000 });
  const report = await verify(store, { limit: SHOWN });
  if (report.ok && report.done) return report;
  const found = report.problems.map(({ rule, message }) => `${rule}: ${message}`);
  throw new Error(`${report.problemCount} rules are broken:\n${found.join("\n")}`);
}

/** The namespace of a stream of events. */
export function namespaceOf(stream: string): string {
  return decodeToken(stream.slice("AETHER_".length));
}
