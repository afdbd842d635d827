import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  defineEvents,
  type EventStore,
  isAetherError,
  richJsonCodec,
  schemaVersions,
  type StandardSchema,
  unchecked,
} from "../../mod.ts";
import { once } from "../support/acts.ts";
import { assertStored, type Bed, DATA, fact, failureOf, type Hooks } from "./bed.ts";

function schemaOf(validate: (value: unknown) => unknown): StandardSchema {
  return { "~standard": { version: 1, vendor: "mine", validate } } as StandardSchema;
}

/** A store of events of type `T`. */
function open(bed: Bed, T: StandardSchema, checkReads = false): Promise<EventStore> {
  return bed.open({ events: defineEvents({ T }, { checkReads }) });
}

/** What definitions of events take from their user. */
export const SCHEMAS: Hooks = {
  "StandardSchemaProperties.validate": async (bed, act) => {
    const sound = (value: unknown) => ({ value });
    const store = await open(bed, schemaOf(once(act, sound)));
    const { error } = (await failureOf(store.saveEvent(fact())))!;
    assert(isAetherError(error, "InvalidEventError") || error instanceof TypeError, String(error));
    await assertStored(store, []);
    await store.saveEvent(fact());
    await assertStored(store, [1]);
    // While it reads: the check has no say in what is read.
    let check: (value: unknown) => unknown = sound;
    const reader = await open(bed, schemaOf((value) => check(value)), true);
    await reader.saveEvent(fact());
    check = once(act, sound);
    const failure = await failureOf(reader.getEvents("a-1"), true);
    if (failure !== undefined) assert(isAetherError(failure.error, "CorruptEventError"));
    await assertStored(reader, [1]);
  },
  "SchemaStep.down": async (bed, act) => {
    const down = once(act, (data: unknown) => data);
    const versions = schemaVersions(unchecked()).next(unchecked(), { up: (it) => it, down });
    const store = await open(bed, versions.writes(1));
    const event = fact();
    const failure = await failureOf(store.saveEvent(event), act.kind === "gives");
    if (failure === undefined) return; // The value may be good.
    assert(isAetherError(failure.error), String(failure.error));
    await store.saveEvent(event);
    await assertStored(store, [1]);
  },
  "SchemaStep.up": async (bed, act) => {
    const up = once(act, (data: unknown) => data);
    const versions = schemaVersions(unchecked()).next(unchecked(), { up, down: (it) => it });
    const store = await open(bed, versions.writes(1));
    await store.saveEvent(fact());
    const failure = await failureOf(store.getEvents("a-1"), act.kind === "gives");
    if (failure !== undefined) assert(isAetherError(failure.error, "CorruptEventError"));
    await assertStored(store, [1]);
  },
  "RichJson.stringify()": async (bed, act) => {
    const stringify = once(act, () => "{}");
    const store = await bed.open({ codec: richJsonCodec({ stringify, parse: () => DATA }) });
    const rich = { ...fact(), data: new Map() };
    const failure = await failureOf(store.saveEvent(rich), true);
    if (failure !== undefined) assert(isAetherError(failure.error), String(failure.error));
    if (failure === undefined) assert(act.kind === "gives", "Only a text can be stored");
    await store.saveEvent(failure === undefined ? fact(2) : rich);
    assertEquals((await store.getEvents("a-1")).at(-1)!.data, DATA);
  },
  "RichJson.parse()": async (bed, act) => {
    const parse = once(act, () => DATA);
    const store = await bed.open({ codec: richJsonCodec({ stringify: () => "{}", parse }) });
    await store.saveEvent({ ...fact(), data: new Map() });
    const failure = await failureOf(store.getEvents("a-1"), true);
    if (failure !== undefined) assert(isAetherError(failure.error, "CorruptEventError"));
    await assertStored(store, [1]);
  },
  "JsonSchemaOptions.convert": (_bed, act) => {
    const events = defineEvents({ T: unchecked() });
    const convert = once(act, () => ({ type: "null" }));
    if (act.kind === "gives" || act.kind === "hangs") return Promise.resolve(void 0);
    assertThrows(() => events.jsonSchema({ convert }), TypeError, "Cannot make a JSON Schema");
    assertEquals(events.jsonSchema({ convert }), { T: { type: "null" } });
    return Promise.resolve();
  },
};
