import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as errors from "../../store/errors.ts";
import { oneOfEach } from "./every_error.ts";

const { isAetherError } = errors;

Deno.test("an error's code is the name of its class, and all classes are here", () => {
  const instances = oneOfEach(errors);
  for (const error of instances) {
    assert(error instanceof errors.AetherError && error instanceof Error);
    assertEquals([error.code, error.name], [error.constructor.name, error.constructor.name]);
    assert(isAetherError(error) && isAetherError(error, error.code));
    assert(error.stack?.startsWith(`${error.name}: ${error.message}`));
  }
  const classes = Object.keys(errors).filter((name) => /Error$/.test(name) && /^[A-Z]/.test(name));
  const made = [...new Set(instances.map(({ code }) => code as string))];
  assertEquals(made.sort(), classes.filter((name) => name !== "AetherError").sort());
});

Deno.test("isAetherError() recognises the errors of another copy of the package", async () => {
  const specifier = "../../store/errors.ts?copy";
  const copy: typeof errors = await import(specifier);
  for (const error of oneOfEach(copy)) {
    const isOurs: boolean = error instanceof errors.AetherError;
    assert(!isOurs);
    assert(isAetherError(error) && isAetherError(error, error.code));
    const other = error.code === "InvalidEventError" ? "CorruptEventError" : "InvalidEventError";
    assert(!isAetherError(error, other));
  }
});

Deno.test("isAetherError() is false of anything else", () => {
  const code = "VersionConflictError";
  const others = [new Error(code), { code }, { name: code, code }, null, undefined, code, 7];
  for (const value of others) {
    assert(!isAetherError(value));
    assert(!isAetherError(value, code));
  }
});

Deno.test("messages name the failure and the present state", () => {
  assertEquals(oneOfEach(errors).map(({ message }) => message), [
    'Cannot save event at version 3 of "order-7": current version is 5',
    "Cannot take event: data is NaN",
    "Cannot save snapshot: state is NaN",
    'Cannot take event at version 3 of "order-7": it takes 11 bytes, and 10 fit; keep large ' +
    "content elsewhere and put a reference to it in the event",
    "Cannot read the event at sequence 9: its body is not JSON",
    'Cannot tell whether the event at version 3 of "order-7" was saved: the server did not ' +
    "answer in time; call settle(), or save the same events again",
    "Cannot read: no answer",
    "Cannot save: the stream is full",
    'Cannot go on with partition 3 of projection "orders": another process has taken it over',
    'Cannot read the record "checkpoint.orders.control" of the checkpoint store: it is not JSON; bring back an older state of it, or remove it so that its projection begins anew, and find out who else may write there',
    'Cannot rebuild projection "orders" as version 2: its runner was stopped',
    'Cannot go on with projection "orders": event "e-1" of "order-7" at sequence 9 failed 5 times: ' +
    "undefined",
    'Cannot open stream "AETHER_shop": sealed is set; max_age is 1',
    'Cannot go on with "order-7": it ends at sequence 4, though sequence 9 was acknowledged; ' +
    "the stream lost its tail or was restored",
    'Cannot go on with the subscription to "orders": 10 events were waiting, and one more came',
    'Cannot read the event at sequence 9: "OrderPlaced" has schema 3, and 2 is the newest that ' +
    "is known here; deploy the upcasters of the newer code",
    "Cannot use nats-server 2.10.0: 2.12.0 or newer is needed, because older ones ignore the " +
    "checks that keep events safe",
    'Cannot save event at version 3 of "order-7": node "a" does not own shard 12; send the command ' +
    "to the shard's owner",
    'Cannot claim shard 12: node "b" has claimed shard 12 under map 7; node "a" may claim it under ' +
    "a newer one",
    'Cannot lead as "a" in term 7: no renewal of the lease was acknowledged in time; campaign again',
    'Cannot run command "c-1" again: its events are stored up to sequence 9; read them, or answer ' +
    "repeated commands from them",
    'Cannot handle command "c-1" of "a": no',
    'Cannot save events of "a" in command "c-1": node "n" owns their shard 12; send a command to ' +
    '"a" instead',
    'Cannot handle command "c-1": it would wait for itself, from "a" to "b" to "a"',
    'Cannot tell whether command "c-1" of "a" was handled: its owners "n" and "m" crashed or hung while they had it, and no other node gets it',
    'Cannot tell whether command "c-1" of "a" was handled: no answer came in time; send it again ' +
    "under the same commandId",
    'Cannot execute command "c-1" on "a": it was refused before, and the refusal is final: no',
    'Cannot take part as node "a": another process has joined by that name since; give every ' +
    "process a name of its own",
  ]);
});

Deno.test("errors keep their facts, their cause and nothing more to print", async () => {
  const cause = new Error("why");
  const unknown = new errors.SaveOutcomeUnknownError(
    "order-7",
    3,
    () => Promise.resolve("not-saved"),
    {
      cause,
    },
  );
  assertStrictEquals(unknown.cause, cause);
  assertEquals([unknown.actorId, unknown.version], ["order-7", 3]);
  assertEquals(await unknown.settle(), "not-saved");
  const conflict = new errors.VersionConflictError("order-7", 3, 5);
  assertEquals({ ...conflict }, {
    code: "VersionConflictError",
    name: "VersionConflictError",
    actorId: "order-7",
    attemptedVersion: 3,
    currentVersion: 5,
  });
});
