import { needFunction, needMethods, needObject, needOptionalFunctions } from "../base/given.ts";
import { isRecord } from "../base/json.ts";
import { describe, tokenProblem } from "../base/token.ts";
import { type Codec, FORGOTTEN, type Forgotten, jsonCodec } from "../codec.ts";
import type { Event } from "../event.ts";
import { noteForgotten } from "../forget_epoch.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { checkTable, type FieldTable, type SealedFields, type Split, split } from "./fields.ts";
import { type ForgetReport, reportOf } from "./forget_report.ts";
import { KeyCache, type KeyCacheOptions } from "./key_cache.ts";
import type { KeyStore } from "./key_store.ts";
import { seal, unseal } from "./seal.ts";
import { sealedSnapshots, type SnapshotSubjects } from "./sealed_snapshots.ts";

/** Options for {@linkcode sealedCodec}. */
export interface SealedCodecOptions<E extends Event> extends KeyCacheOptions {
  /** Keeps a key for each subject. */
  readonly keys: KeyStore;
  /** The fields of `data` that are sealed, each with the subject whose data it is. */
  readonly fields: SealedFields<E>;
}

/** A codec that seals fields of events, and forgets: see {@linkcode sealedCodec}. */
export interface SealedCodec extends Codec<Event> {
  /**
   * Forgets a subject: drops its key, so that nobody can open its fields any more, nor the snapshots
   * that are sealed for it. Nothing brings it back, and no new event can be saved with a sealed field
   * of the subject. The states that `execute()` keeps in this process are dropped too. Gives what is
   * left for the user to do. Calling it again is safe.
   *
   * @throws {StoreUnavailableError} The key store failed or did not answer: call it again.
   * @throws {RangeError} The subject is not an id of 1 to 200 bytes.
   */
  forget(subject: string): Promise<ForgetReport>;
  /**
   * A codec for a snapshot store, with the same keys: it seals the state for all of its subjects, and
   * passes over the snapshot once one of them is forgotten. The actor is then read from its events. A
   * store without the codec passes over it, too, and the codec over snapshots that are not sealed.
   *
   * @param subjectsOf Whose data the state holds; with `[]` the state stays open.
   */
  snapshots(subjectsOf: SnapshotSubjects): Codec<Snapshot>;
}

/** An event as it is stored. */
interface StoredEvent extends Event {
  readonly sealed?: readonly SealedPart[];
}

/** Fields of one subject. */
interface SealedPart {
  readonly subject: string;
  readonly fields: readonly string[];
  readonly text: string;
}

/**
 * A codec that seals fields of events by AES-256-GCM, under one key for each *data subject*: a person
 * whose data may be spread over many actors, and who may ask to be forgotten. Once a subject is
 * forgotten, each of its fields reads as `FORGOTTEN`, and the rest of the event as before.
 *
 * - The rules on `data` hold as without a codec. Events without sealed fields cost no promise, and
 *   are stored as they would be without it; so a store can begin to seal at any time.
 * - A sealed field opens only in its own event. If it was altered, or its key is lost or another one,
 *   the read fails with `CorruptEventError`. The other fields are not protected.
 * - Without the codec an event with sealed fields cannot be read: `CorruptEventError`, too.
 * - If the key store is out of reach, a save or a read fails with `StoreUnavailableError`, and a
 *   projection waits: nothing is saved in the open, and nothing is taken for forgotten.
 * - Keys are cached for `cacheMaxAge`: other processes can go on for that long after `forget()`.
 * - Upcasters are given `FORGOTTEN` in the fields that are.
 *
 * @typeParam E The union of the events; the types of their sealed fields include `Forgotten`.
 * @throws {TypeError} The fields are not ones that can be sealed.
 * @throws {RangeError} An option is out of its range.
 *
 * @example Forget a customer
 * ```ts
 * import {
 *   createEvent,
 *   type Event,
 *   FORGOTTEN,
 *   type Forgotten,
 *   InMemoryEventStore,
 *   InMemoryKeyStore,
 *   sealedCodec,
 * } from "@flowmade-one/aether";
 *
 * type Placed = Event<"OrderPlaced", { customer: string; total: number; address: string | Forgotten }>;
 *
 * const codec = sealedCodec<Placed>({
 *   keys: new InMemoryKeyStore(),
 *   fields: { OrderPlaced: { address: "customer" } },
 * });
 * await using store = new InMemoryEventStore({ codec }); // Deno, or Node 24 and newer
 * const data = { customer: "c-1", total: 5, address: "1 High Street" };
 * await store.saveEvent(createEvent({ actorId: "order-1", eventType: "OrderPlaced", version: 1, data }));
 *
 * const { duties } = await codec.forget("c-1");
 * for (const { place, advice } of duties) console.log(place, advice);
 * const [placed] = await store.getEvents<Placed>("order-1");
 * console.log(placed?.data.total, placed?.data.address === FORGOTTEN); // 5 true
 * ```
 */
export function sealedCodec<E extends Event>(options: SealedCodecOptions<E>): SealedCodec {
  const what = "make a sealed codec";
  needObject(options, what, "options");
  const table = checkTable(options.fields as unknown as FieldTable);
  const methods = ["get", "getOrCreate", "forget"];
  needMethods(options.keys, methods, what, "keys", "a KeyStore");
  needOptionalFunctions(options, ["now"], what);
  const keys = new KeyCache(options.keys, options);
  let sealsSnapshots = false;
  return {
    encode(event) {
      const apart = split(table, event);
      return apart === undefined ? jsonCodec.encode(event) : encodeSealed(keys, event, apart);
    },
    decode(bytes) {
      const stored = jsonCodec.decode<StoredEvent>(bytes);
      return stored?.sealed === undefined ? stored : decodeSealed(keys, stored);
    },
    async forget(subject) {
      const problem = tokenProblem(subject);
      if (problem !== undefined) {
        throw new RangeError(`Cannot forget subject ${describe(subject)}: it ${problem}`);
      }
      const dropped = await keys.forget(subject);
      noteForgotten();
      return reportOf(subject, { dropped, maxAge: keys.maxAge, sealsSnapshots });
    },
    snapshots(subjectsOf) {
      needFunction(subjectsOf, "seal snapshots", "subjectsOf");
      sealsSnapshots = true;
      return sealedSnapshots(keys, subjectsOf);
    },
  };
}

async function encodeSealed(
  keys: KeyCache,
  event: Event,
  { open, parts }: Split,
): Promise<Uint8Array> {
  const sealed = await Promise.all(parts.map(async ({ subject, fields, text }) => {
    const key = await keys.make(subject);
    if (key === FORGOTTEN) {
      throw new TypeError(
        `subject ${describe(subject)} is forgotten, so that ${
          fields.join(", ")
        } cannot be sealed; ` +
          "leave it out, or take a new id for the subject",
      );
    }
    return { subject, fields, text: await seal(key, text, placeOf(event, subject, fields)) };
  }));
  const stored: StoredEvent = { ...event, data: open, sealed };
  return jsonCodec.encode(stored);
}

async function decodeSealed(keys: KeyCache, stored: StoredEvent): Promise<Event> {
  const { sealed, ...event } = stored;
  const { data } = event;
  if (!isRecord(data) || !Array.isArray(sealed) || !sealed.every(isPart)) {
    throw new TypeError("its sealed fields are damaged");
  }
  const opened = await Promise.all(sealed.map((part) => open(keys, event, part)));
  return { ...event, data: opened.reduce((all, fields) => ({ ...all, ...fields }), data) };
}

async function open(
  keys: KeyCache,
  event: Event,
  { subject, fields, text }: SealedPart,
): Promise<Record<string, unknown>> {
  const key = await keys.find(subject);
  if (key === FORGOTTEN) {
    return Object.fromEntries(fields.map((name): [string, Forgotten] => [name, FORGOTTEN]));
  }
  if (key === undefined) {
    throw new TypeError(
      `the key store has no key of subject ${
        describe(subject)
      }, nor a mark that it was forgotten; ` +
        "give the codec the keys that the event was saved with",
    );
  }
  return JSON.parse(await unseal(key, text, placeOf(event, subject, fields)));
}

/** Binds sealed fields to their event. */
function placeOf(
  { id, eventType, actorId, version }: Event,
  subject: string,
  fields: readonly string[],
): unknown {
  return ["event", id, eventType, actorId, version, subject, fields];
}

function isPart(part: unknown): part is SealedPart {
  return isRecord(part) && typeof part.subject === "string" && typeof part.text === "string" &&
    Array.isArray(part.fields) && part.fields.every((name) => typeof name === "string");
}
