import { categoryOf, shardOf } from "../actor.ts";
import { decodeToken, describe, encodeToken } from "../base/token.ts";

/**
 * Names of one namespace's stream of snapshots and its subjects; no namespace's events have such
 * names. Name and schema are tokens of their own, in front, so that snapshots of different ones
 * never meet and those that no code reads any more can be purged at once. A format that stays: see
 * docs/design/storage-format.md.
 */
export class SnapshotLayout {
  /** The JetStream stream. */
  readonly stream: string;
  /** The subjects that the stream keeps, exactly. */
  readonly subjects: readonly string[];
  readonly #prefix: string;

  /**
   * Encodes the namespace as one token.
   *
   * @throws {RangeError} The namespace is empty, not well-formed, or over 80 bytes when encoded.
   */
  constructor(namespace: string) {
    const token = encodeNamespace(namespace);
    this.stream = `AETHER-SNAPSHOT_${token}`;
    this.#prefix = `aether-snapshot.${token}`;
    this.subjects = [`${this.#prefix}.*.*.*`];
  }

  /** The exact subject of one actor's snapshots of one name and schema. */
  snapshot(actorId: string, name: string, schemaVersion: number): string {
    return `${this.#prefix}.${encodeToken(name)}.${schemaVersion}.${encodeToken(actorId)}`;
  }
}

/** The version of the storage format that this code writes. */
export const FORMAT = 1;

/** How an actor's shard is found, as the genesis message names it. */
export const HASH = "murmur3-x86-32";

/** Shards of a stream that is made without saying how many. */
export const DEFAULT_SHARDS = 256;

/** Bytes of an encoded namespace, so that no subject is longer than 512 bytes. */
const MAX_NAMESPACE_BYTES = 80;

/** Bytes of one message that are kept free for headers, so that all stores refuse alike. */
export const HEADER_ROOM = 2048;

/** Messages that the server takes in one atomic batch. */
export const MAX_BATCH = 1000;

/**
 * Bytes of headers that one message of ours may have, NATS's own among them. The server refuses
 * over 65,535.
 */
export const MAX_HEADERS = 48 * 1024;

/** Bytes of bodies from which on a message takes no further event: each lookup hands all out. */
export const MAX_BODIES = 64 * 1024;

/**
 * The token that stands for a namespace in names of streams and subjects.
 *
 * @throws {RangeError} The namespace is empty, not well-formed, or over 80 bytes when encoded.
 */
export function encodeNamespace(namespace: string): string {
  const token = encodeToken(namespace);
  if (token.length > MAX_NAMESPACE_BYTES) {
    throw new RangeError(
      `Cannot use namespace ${describe(namespace)}: it takes ${token.length} bytes when ` +
        `encoded, and ${MAX_NAMESPACE_BYTES} fit`,
    );
  }
  return token;
}

/**
 * Names of one namespace's stream and subjects. A format that stays: see
 * docs/design/storage-format.md.
 */
export class Layout {
  /** The JetStream stream. */
  readonly stream: string;
  /** Carries the stream's identity; its first message. */
  readonly genesis: string;
  /** Carries what the stream is called after it was restored; its last message counts. */
  readonly epoch: string;
  /** The subjects that the stream keeps, exactly. */
  readonly subjects: readonly string[];
  readonly #prefix: string;

  /**
   * Encodes the namespace as one token.
   *
   * @throws {RangeError} The namespace is empty, not well-formed, or over 80 bytes when encoded.
   */
  constructor(namespace: string) {
    const token = encodeNamespace(namespace);
    this.stream = `AETHER_${token}`;
    this.#prefix = `aether.${token}`;
    this.genesis = `${this.#prefix}.genesis`;
    this.epoch = `${this.#prefix}.epoch`;
    this.subjects = [
      `${this.#prefix}.event.*.*.*`,
      `${this.#prefix}.unborn.*.*.*`,
      `${this.#prefix}.fence.*`,
      `${this.#prefix}.commit.*`,
      this.genesis,
      this.epoch,
    ];
  }

  /** The exact subject of one actor's events. */
  event(actorId: string, shards: number): string {
    return `${this.#prefix}.event.${this.#actor(actorId, shards)}`;
  }

  /** Says that the actor may have receipts and no event yet. */
  unborn(actorId: string, shards: number): string {
    return `${this.#prefix}.unborn.${this.#actor(actorId, shards)}`;
  }

  /** The subject of a commit's marker: carries guards if no event can. */
  commit(shard: number): string {
    return `${this.#prefix}.commit.${shard}`;
  }

  /** The subject that says who owns a shard; with a star it matches those of all. */
  fence(shard: number | "*"): string {
    return `${this.#prefix}.fence.${shard}`;
  }

  /** Matches the events of one category, or of all; in one shard, or in all. */
  events(category?: string, shard: number | "*" = "*"): string {
    return `${this.#prefix}.event.${this.#actors(category, shard)}`;
  }

  /** Matches what {@linkcode unborn} names, likewise. */
  allUnborn(category?: string, shard: number | "*" = "*"): string {
    return `${this.#prefix}.unborn.${this.#actors(category, shard)}`;
  }

  /** The actor that an event subject belongs to; `undefined` for any other subject. */
  actorOf(subject: string): string | undefined {
    return this.#actorBehind(`${this.#prefix}.event.`, subject);
  }

  /** The actor that a subject of {@linkcode unborn} belongs to; `undefined` for any other subject. */
  unbornActorOf(subject: string): string | undefined {
    return this.#actorBehind(`${this.#prefix}.unborn.`, subject);
  }

  #actorBehind(start: string, subject: string): string | undefined {
    if (!subject.startsWith(start)) return undefined;
    const [, , actor, ...more] = subject.slice(start.length).split(".");
    if (actor === undefined || more.length > 0) return undefined;
    try {
      return decodeToken(actor);
    } catch {
      return undefined;
    }
  }

  #actor(actorId: string, shards: number): string {
    const category = encodeToken(categoryOf(actorId));
    return `${shardOf(actorId, shards)}.${category}.${encodeToken(actorId)}`;
  }

  #actors(category: string | undefined, shard: number | "*"): string {
    return `${shard}.${category === undefined ? "*" : encodeToken(category)}.*`;
  }
}
