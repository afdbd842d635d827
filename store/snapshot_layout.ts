import { encodeNamespace } from "./layout.ts";
import { encodeToken } from "./token.ts";

/**
 * Names of one namespace's stream of snapshots and its subjects; no namespace's events have
 * such names. A schema is a token of its own, in front, so that snapshots of different schemas
 * never meet and those of a schema that no code reads any more can be purged at once.
 * A format for ever: see docs/design.md.
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
    this.subjects = [`${this.#prefix}.*.*`];
  }

  /** The exact subject of one actor's snapshots of one schema. */
  snapshot(actorId: string, schemaVersion: number): string {
    return `${this.#prefix}.${schemaVersion}.${encodeToken(actorId)}`;
  }
}
