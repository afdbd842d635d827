/**
 * All that a stream of events holds, message by message, and whether it is as it has to be.
 *
 * @module
 */

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { Layout } from "../../store/format/layout.ts";
import { COMMAND, FENCE, PREVIOUS, VERSION } from "../../store/format/headers.ts";
import type { CountedData } from "./owners.ts";

/** A message that is stored. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly text: string;
  /** The value of a header; `""` where there is none. */
  readonly header: (name: string) => string;
}

/** A reply that a sender got. */
export interface Acked {
  readonly actorId: string;
  /** The command's id, where the sender knows it. */
  readonly commandId: string | undefined;
  /** The version of the command's event by the reply; `undefined` if it named none. */
  readonly version: number | undefined;
}

/** The findings in a log. */
export interface LogCounts {
  readonly events: number;
  /** Fences that were claimed. */
  readonly claims: number;
  /** Processes that wrote. */
  readonly writers: number;
}

/** Reads all messages of a namespace's stream, in order and without a gap. */
export async function readLog(connection: NatsConnection, namespace: string): Promise<Stored[]> {
  const { stream } = new Layout(namespace);
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const { state: { messages, last_seq } } = await manager.streams.info(stream);
  if (messages !== last_seq) throw new Error(`The stream has ${messages} of ${last_seq} messages`);
  const consumer = await jetstream(connection).consumers.get(stream);
  const log: Stored[] = [];
  if (last_seq === 0) return log;
  const arriving = await consumer.consume({ max_messages: 1000 });
  for await (const message of arriving) {
    const { seq: sequence, subject, headers } = message;
    if (sequence !== log.length + 1) throw new Error(`Message ${sequence} after ${log.length}`);
    log.push({
      sequence,
      subject,
      text: message.string(),
      header: (name) => headers?.get(name) ?? "",
    });
    if (sequence >= last_seq) break;
  }
  await consumer.delete();
  return log;
}

/** The content of a fence. */
interface Fence {
  readonly sequence: number;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly mapVersion: number;
  readonly state: "claimed" | "released";
}

/**
 * Whether all of these hold, for a log whose events were saved by orders:
 * - what is stored of a shard between two fences was written under the first of them, by the
 *   process that had claimed it;
 * - the maps that fences name never go back, and of one map each shard has one owner;
 * - each actor's versions count from 1;
 * - each command has one event, and each that was acked has it at the version of the reply,
 *   which no other has.
 *
 * Gives all that does not, and what was seen.
 */
export function checkLog(
  log: readonly Stored[],
  namespace: string,
  acked: readonly Acked[],
  { many = false }: { /** Whether commands may have several events. */ readonly many?: boolean } =
    {},
): { readonly problems: string[]; readonly counts: LogCounts } {
  const layout = new Layout(namespace);
  const [prefix] = layout.fence(0).split("fence.0") as [string];
  const problems: string[] = [];
  const fences = new Map<string, Fence>();
  const owners = new Map<string, string>();
  const lives = new Map<string, string>();
  const versions = new Map<string, number>();
  const commands = new Map<string, number>();
  let events = 0;
  let claims = 0;
  const takeFence = (shard: string, fence: Fence) => {
    const { sequence, nodeId, incarnation, mapVersion, state } = fence;
    const before = fences.get(shard);
    if (before !== undefined && before.mapVersion > mapVersion) {
      problems.push(`${sequence}: shard ${shard} back from map ${before.mapVersion}`);
    }
    fences.set(shard, fence);
    if (state !== "claimed") return;
    claims++;
    const key = `${shard} ${mapVersion}`;
    const owner = `${nodeId} ${incarnation}`;
    if ((owners.get(key) ?? owner) !== owner) problems.push(`${sequence}: two owners of ${key}`);
    owners.set(key, owner);
  };
  const takeEvent = (shard: string, actorId: string, message: Stored) => {
    const { sequence, text, header } = message;
    const at = `${sequence}: "${actorId}"`;
    events++;
    const fence = fences.get(shard);
    if (fence === undefined || fence.state !== "claimed") {
      problems.push(`${at} is written while shard ${shard} is nobody's`);
    } else if (header(FENCE) !== String(fence.sequence)) {
      problems.push(`${at} is written under fence ${header(FENCE)}, not ${fence.sequence}`);
    } else {
      const { by: [nodeId, life] } = JSON.parse(text).data as CountedData;
      const incarnation = `${fence.nodeId} ${fence.incarnation}`;
      const writer = `${nodeId} ${life}`;
      if (nodeId !== fence.nodeId || (lives.get(incarnation) ?? writer) !== writer) {
        problems.push(`${at} is written by ${writer}, not by the owner ${incarnation}`);
      }
      lives.set(incarnation, writer);
    }
    const version = Number(header(VERSION));
    const previous = versions.get(actorId) ?? 0;
    if (version !== previous + 1 || Number(header(PREVIOUS)) !== previous) {
      problems.push(`${at} at version ${version} follows on ${previous}`);
    }
    versions.set(actorId, version);
    const key = `${actorId} ${header(COMMAND)}`;
    if (commands.has(key) && !many) problems.push(`${at} is the second event of command ${key}`);
    commands.set(key, version);
  };
  for (const message of log) {
    const [kind = "", shard = ""] = message.subject.slice(prefix.length).split(".");
    if (kind === "fence") {
      takeFence(shard, { ...JSON.parse(message.text), sequence: message.sequence });
    } else if (kind === "event") {
      takeEvent(shard, layout.actorOf(message.subject)!, message);
    }
  }
  const told = new Set<string>();
  for (const { actorId, commandId, version } of acked) {
    if (version !== undefined && !many) {
      const place = `version ${version} of "${actorId}"`;
      if (version > (versions.get(actorId) ?? 0)) problems.push(`${place} is lost`);
      if (told.has(place)) problems.push(`${place} was the reply to two commands`);
      told.add(place);
    }
    if (commandId === undefined) continue;
    const stored = commands.get(`${actorId} ${commandId}`);
    if (stored === undefined) problems.push(`Command "${commandId}" of "${actorId}" is lost`);
    else if (version !== undefined && stored !== version) {
      problems.push(`Command "${commandId}" is at ${stored}, and was acked at ${version}`);
    }
  }
  return { problems, counts: { events, claims, writers: lives.size } };
}
