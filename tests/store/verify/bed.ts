/**
 * Streams that are damaged on purpose, past the store and its code.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { encodeToken } from "../../../store/base/token.ts";
import { Layout } from "../../../store/format/layout.ts";
import {
  type Event,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
  verify,
  type VerifyOptions,
  type VerifyProblem,
  type VerifyReport,
  type VerifyRule,
} from "../../../store/mod.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { fact } from "../../support/fault.ts";
import { api } from "../../support/jetstream_api.ts";

/** A message as it is to be stored. */
export interface Raw {
  readonly subject: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A store, and an administrator who may write and delete whatever is on its stream. */
export class Damaged implements AsyncDisposable {
  readonly connection: NatsConnection;
  readonly namespace: string;
  readonly layout: Layout;
  store: JetStreamEventStore;
  #deleted = 0;
  readonly #stack = new AsyncDisposableStack();
  readonly #options: JetStreamEventStoreOptions;

  private constructor(
    scene: Scene,
    connection: NatsConnection,
    store: JetStreamEventStore,
    options: JetStreamEventStoreOptions,
  ) {
    this.#stack.use(store);
    this.#options = options;
    this.connection = connection;
    this.namespace = scene.namespace;
    this.layout = new Layout(scene.namespace);
    this.store = store;
  }

  /** Opens the scene's store. */
  static async open(scene: Scene, options: JetStreamEventStoreOptions = {}): Promise<Damaged> {
    const connection = await scene.connect();
    const opened = { namespace: scene.namespace, timeout: 3_000, shards: 4, ...options };
    const store = await JetStreamEventStore.open(connection, opened);
    return new Damaged(scene, connection, store, opened);
  }

  /** The subject of an actor's events. */
  subjectOf(actorId: string): string {
    return this.layout.event(actorId, this.store.shards);
  }

  /** Stores a message on any subject of the stream; gives its sequence. */
  async publish({ subject, fields = {}, body = "" }: Raw): Promise<number> {
    const own = headers();
    for (const [name, value] of Object.entries(fields)) own.set(name, value);
    const answer = await this.connection.request(subject, body, { headers: own, timeout: 5_000 });
    const { seq, error } = answer.json<{ seq?: number; error?: { description: string } }>();
    if (seq === undefined) throw new Error(error?.description ?? "no answer");
    return seq;
  }

  /**
   * Stores a message with the headers of one event, some of them changed; gives its sequence. An
   * empty text takes a header away.
   */
  async forge(
    event: Event,
    expected: number,
    changes: Readonly<Record<string, string>> = {},
    body: string | Uint8Array = `${JSON.stringify(event)}\n`,
  ): Promise<number> {
    const fields: Record<string, string> = {
      "Aether-Op": crypto.randomUUID(),
      "Aether-Id": encodeToken(event.id),
      "Aether-Type": encodeToken(event.eventType),
      "Aether-Version": String(event.version),
      "Aether-Previous": String(event.version - 1),
      "Aether-Count": "1",
      "Nats-Expected-Last-Subject-Sequence": String(expected),
      ...changes,
    };
    for (const [name, value] of Object.entries(fields)) if (value === "") delete fields[name];
    return await this.publish({ subject: this.subjectOf(event.actorId), fields, body });
  }

  /**
   * Puts a stream without guards in the place of the store's, with the same messages, does `harm`
   * to it, and opens the store again, unless the one that is open is to be asked.
   */
  async rebuilt(
    harm: (stream: string) => Promise<void>,
    { reopen = true }: { readonly reopen?: boolean } = {},
  ): Promise<void> {
    const { connection, store: { stream } } = this;
    const { config, state } = await api<
      { config: Record<string, unknown>; state: { last_seq: number } }
    >(connection, `STREAM.INFO.${stream}`);
    const messages: { subject: string; data: Uint8Array; hdrs: string }[] = [];
    for (let seq = 1; seq <= state.last_seq; seq++) {
      const { message: { subject, data = "", hdrs = "" } } = await api<
        { message: { subject: string; data?: string; hdrs?: string } }
      >(connection, `STREAM.MSG.GET.${stream}`, { seq });
      messages.push({ subject, data: bytesIn(data), hdrs: atob(hdrs) });
    }
    await api(connection, `STREAM.DELETE.${stream}`);
    const open = { ...config, deny_delete: false, deny_purge: false };
    await api(connection, `STREAM.CREATE.${stream}`, open);
    for (const { subject, data, hdrs } of messages) {
      const fields = headers();
      for (const line of hdrs.split("\r\n").slice(1)) {
        const colon = line.indexOf(":");
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
      }
      const isInside = fields.has("Nats-Batch-Id") && !fields.has("Nats-Batch-Commit");
      if (isInside) connection.publish(subject, data, { headers: fields });
      else await connection.request(subject, data, { headers: fields, timeout: 5_000 });
    }
    await harm(stream);
    await api(connection, `STREAM.UPDATE.${stream}`, config);
    if (!reopen) return;
    const options = { ...this.#options, acceptedLosses: this.#deleted };
    this.store = await JetStreamEventStore.open(connection, options);
    this.#stack.use(this.store);
  }

  /** Deletes messages of the stream. */
  async delete(sequences: readonly number[], options?: { reopen: boolean }): Promise<void> {
    await this.rebuilt(async (stream) => {
      for (const seq of sequences) {
        await api(this.connection, `STREAM.MSG.DELETE.${stream}`, { seq });
      }
      this.#deleted += sequences.length;
    }, options);
  }

  /** Disposes the stores. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Checks that just these rules are broken, in order; gives the problems. */
  async breaks(
    rules: readonly VerifyRule[],
    options: VerifyOptions = {},
  ): Promise<readonly VerifyProblem[]> {
    const { problems, problemCount, ok } = await verify(this.store, options);
    const found = problems.map(({ rule }) => rule);
    const said = problems.map(({ rule, message }) => `${rule}: ${message}`).join("\n");
    assertEquals(found, [...rules], said);
    assertEquals(problemCount, rules.length);
    assertEquals(ok, rules.length === 0);
    for (const { message, advice } of problems) {
      assert(message.length > 15 && advice.length > 20, message);
    }
    return problems;
  }
}

/** A test with a store that is going to be damaged. */
export function damageTest(
  name: string,
  run: (damaged: Damaged, scene: Scene) => Promise<void>,
  options: JetStreamEventStoreOptions = {},
): void {
  natsTest(name, async (scene) => {
    await using damaged = await Damaged.open(scene, options);
    await run(damaged, scene);
  });
}

/** Events of one actor, from one version up to another. */
export function facts(actorId: string, from: number, to: number): Event[] {
  return Array.from({ length: to - from + 1 }, (_, at) => fact(actorId, from + at));
}

/** Checks that nothing is wrong; gives the report. */
export function assertSound(report: VerifyReport): VerifyReport {
  const said = report.problems.map(({ rule, message }) => `${rule}: ${message}`);
  assertEquals(said, []);
  assert(report.ok && report.done);
  return report;
}

function bytesIn(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
