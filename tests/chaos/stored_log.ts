/**
 * All that a stream of events holds, message by message, and whether it is as it has to be.
 *
 * @module
 */

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { Layout } from "../../store/format/layout.ts";
import type { CountedData } from "./owners.ts";

/** A message that is stored. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  /** When the server stored it, in ms since 1970. */
  readonly time?: number;
  readonly data: Uint8Array;
  /** The value of a header; `""` if there is none. */
  readonly header: (name: string) => string;
}

/** An event of a message. */
interface StoredEvent {
  readonly id: string;
  readonly version: number;
  /** The version before it. */
  readonly previous: number;
  /** The command that led to it; `""` if there was none. */
  readonly command: string;
  /** The save that it is of, and its place in there. */
  readonly commit: { readonly op: string; readonly index: number; readonly count: number };
  readonly text: string;
}

/**
 * The events of a message, as docs/design/storage-format.md describes it, without the store's code.
 *
 * @throws {Error} Its headers do not add up.
 */
export function eventsIn({ data, header }: Stored): StoredEvent[] {
  const list = (name: string) => header(name).split(" ").filter((part) => part !== "");
  const numbers = (name: string) => list(name).map(Number);
  const ids = list("Aether-Id");
  const last = Number(header("Aether-Version"));
  const sizes = ids.length === 1 ? [data.length] : numbers("Aether-Sizes");
  const versions = header("Aether-Versions") === ""
    ? ids.map((_, at) => last - ids.length + 1 + at)
    : numbers("Aether-Versions");
  const counts = numbers("Aether-Count");
  const commands = list("Aether-Command");
  const lists = { types: list("Aether-Type"), sizes, versions };
  for (const [name, { length }] of Object.entries(lists)) {
    if (length !== ids.length) throw new Error(`${length} ${name} for ${ids.length} events`);
  }
  if (versions.at(-1) !== last) throw new Error(`Versions ${versions} end at ${last}`);
  if (commands.length > 0 && commands.length !== counts.length) {
    throw new Error(`${commands.length} commands for ${counts.length} saves`);
  }
  const saves = counts.length === 1
    ? [{ events: ids.length, index: Number(header("Aether-Index")), count: counts[0]! }]
    : counts.map((count) => ({ events: count, index: 0, count }));
  const op = header("Aether-Op");
  const commits = saves.flatMap(({ events, index, count }, at) =>
    Array.from({ length: events }, (_, place) => ({
      command: (commands[at] ?? "=").replace(/^=$/, ""),
      commit: { op: saves.length === 1 ? op : `${op}.${at}`, index: index + place, count },
    }))
  );
  const sum = sizes.reduce((sum, size) => sum + size, 0);
  if (commits.length !== ids.length || sum !== data.length) {
    throw new Error(`${commits.length} events of saves, ${sum} bytes of ${data.length}`);
  }
  let start = 0;
  return ids.map((id, at) => ({
    id,
    version: versions[at]!,
    previous: at === 0 ? Number(header("Aether-Previous")) : versions[at - 1]!,
    ...commits[at]!,
    text: new TextDecoder().decode(data.subarray(start, start += sizes[at]!)),
  }));
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
      time: message.info.timestampNanos / 1e6,
      data: message.data,
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
 * - each actor's versions count from 1, and no id is there twice;
 * - each save is stored as a whole, its events side by side;
 * - each command has one event, and each that was acked has it at the version of the reply,
 *   which no other has.
 *
 * Returns all that breaks this, and the counts of what was seen.
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
  const ids = new Set<string>();
  /** By save, how many of its events are stored. */
  const saved = new Map<string, { stored: number; count: number }>();
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
  const takeMessage = (shard: string, actorId: string, message: Stored) => {
    const { sequence, header } = message;
    const at = `${sequence}: "${actorId}"`;
    const fence = fences.get(shard);
    const under = header("Aether-Fence");
    let isOwned = false;
    if (fence === undefined || fence.state !== "claimed") {
      problems.push(`${at} is written while shard ${shard} is nobody's`);
    } else if (under !== String(fence.sequence)) {
      problems.push(`${at} is written under fence ${under}, not ${fence.sequence}`);
    } else isOwned = true;
    for (const event of eventsIn(message)) {
      takeEvent(at, actorId, event, isOwned ? fence : undefined);
    }
  };
  const takeEvent = (
    at: string,
    actorId: string,
    { id, version, previous: follows, command, commit, text }: StoredEvent,
    fence: Fence | undefined,
  ) => {
    events++;
    if (ids.has(id)) problems.push(`${at} has event "${id}" once more`);
    ids.add(id);
    const { stored, count } = saved.get(commit.op) ?? { stored: 0, count: commit.count };
    if (stored !== commit.index || count !== commit.count) {
      problems.push(
        `${at} has event ${commit.index} of a save of ${commit.count} behind ${stored}`,
      );
    }
    saved.set(commit.op, { stored: stored + 1, count });
    if (fence !== undefined) {
      const { by: [nodeId, life] } = JSON.parse(text).data as CountedData;
      const incarnation = `${fence.nodeId} ${fence.incarnation}`;
      const writer = `${nodeId} ${life}`;
      if (nodeId !== fence.nodeId || (lives.get(incarnation) ?? writer) !== writer) {
        problems.push(`${at} is written by ${writer}, not by the owner ${incarnation}`);
      }
      lives.set(incarnation, writer);
    }
    const previous = versions.get(actorId) ?? 0;
    if (version !== previous + 1 || follows !== previous) {
      problems.push(`${at} at version ${version} follows on ${previous}`);
    }
    versions.set(actorId, version);
    const key = `${actorId} ${command}`;
    if (commands.has(key) && !many) problems.push(`${at} is the second event of command ${key}`);
    commands.set(key, version);
  };
  for (const message of log) {
    const [kind = "", shard = ""] = message.subject.slice(prefix.length).split(".");
    if (kind === "fence") {
      const text = new TextDecoder().decode(message.data);
      takeFence(shard, { ...JSON.parse(text), sequence: message.sequence });
    } else if (kind === "event") {
      takeMessage(shard, layout.actorOf(message.subject)!, message);
    }
  }
  for (const [op, { stored, count }] of saved) {
    if (stored !== count) problems.push(`${stored} of ${count} events of save "${op}" are stored`);
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
