import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { StoreRefusedError, StoreUnavailableError } from "../../../store/errors.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import type { TryOutcome } from "../../../store/nats/publisher.ts";
import { RequestError } from "../../../store/nats/request_error.ts";
import { type SettledWrite, settledWrite } from "../../../store/nats/settled_write.ts";
import { ApiError } from "../../../store/nats/stream_api.ts";

/** The content of a place. */
interface Held {
  readonly sequence: number;
  readonly value: number;
}

/** The fate of one try: answered, or its answer lost, and then stored, not stored, or stored late. */
type Fate = "answered" | "lost, stored" | "lost" | "late";

const LOST = new RequestError("timeout", "x", true);

/** A place as a server keeps it, whose answers to tries can be lost. */
class Place {
  held: Held = { sequence: 0, value: 0 };
  reads = 0;
  readonly sent: number[] = [];
  readonly #fates: Fate[];
  #late: (() => void)[] = [];

  constructor(...fates: Fate[]) {
    this.#fates = fates;
  }

  read(): Promise<Held> {
    this.reads++;
    return Promise.resolve(this.held);
  }

  put(value: number, { sequence }: Held): Promise<TryOutcome> {
    this.sent.push(value);
    const fate = this.#fates.shift() ?? "answered";
    if (fate === "late") this.#late.push(() => this.#store(value, sequence));
    if (fate === "late" || fate === "lost") return lost();
    for (const arrive of this.#late.splice(0)) arrive();
    const isStored = this.#store(value, sequence);
    if (fate === "lost, stored") return lost();
    const first = asStreamSequence(this.held.sequence);
    return Promise.resolve(isStored ? { kind: "stored", first } : { kind: "stale" });
  }

  #store(value: number, expected: number): boolean {
    if (this.held.sequence !== expected) return false;
    this.held = { sequence: expected + 1, value };
    return true;
  }
}

function lost(): Promise<TryOutcome> {
  return Promise.resolve({ kind: "unknown", cause: LOST });
}

/** Adds one to what the place holds, but for what `more` says. */
function addOne(place: Place, more: Partial<SettledWrite<Held, number>> = {}) {
  return settledWrite<Held, number>({
    requests: { closed: false, connected: () => Promise.resolve() },
    deadline: performance.now() + 10_000,
    what: "add one",
    otherwise: "others are faster",
    ends: { absent: "it is as it was", unknown: "nobody knows" },
    read: () => place.read(),
    sequenceOf: ({ sequence }) => sequence,
    next: ({ value }) => value + 1,
    holds: ({ value }, own) => value === own,
    put: (value, state) => place.put(value, state),
    ...more,
  });
}

Deno.test("settledWrite() stores once, whatever becomes of the answers", async () => {
  for (const fates of [[], ["lost, stored"], ["lost"], ["late"], ["late", "late"]] as Fate[][]) {
    const place = new Place(...fates);
    await addOne(place);
    assertEquals(place.held, { sequence: 1, value: 1 }, fates.join());
  }
});

Deno.test("settledWrite() knows its own try, stored late, behind reads that did not show it", async () => {
  const place = new Place("late", "lost");
  const { kind } = await addOne(place);
  assertEquals([kind, place.held, place.sent], ["found", { sequence: 1, value: 1 }, [1, 1, 1]]);
});

Deno.test("settledWrite() knows its own try behind a read that is older than the try", async () => {
  const place = new Place("lost, stored");
  place.held = { sequence: 5, value: 5 };
  const end = await addOne(place, {
    // The second answer is that of a leader that was deposed.
    read: async () =>
      place.reads === 1 ? (place.reads++, { sequence: 4, value: 4 }) : await place.read(),
    put: (value, state) =>
      state.sequence === 4 ? Promise.resolve({ kind: "stale" }) : place.put(value, state),
  });
  assertEquals([end.kind, place.held], ["found", { sequence: 6, value: 6 }]);
});

Deno.test("settledWrite() forgets a lost try that can never be stored any more", async () => {
  const place = new Place("lost");
  const values = [5, 6, 7];
  const end = await addOne(place, {
    read: async () => {
      // Another writer stores in between, and later what the lost try would have stored.
      if (place.reads === 1) place.held = { sequence: 1, value: 9 };
      if (place.reads === 2) place.held = { sequence: 2, value: 5 };
      return await place.read();
    },
    next: () => values.shift(),
    put: (value, state) =>
      value === 6 ? Promise.resolve({ kind: "stale" }) : place.put(value, state),
  });
  assertEquals(end, { kind: "stored", sequence: asStreamSequence(3), value: 7 });
});

Deno.test("settledWrite() tries first on the known state, and reads only if another writer was faster", async () => {
  const known = { sequence: 0, value: 0 };
  const quick = new Place();
  await addOne(quick, { known });
  assertEquals(quick.reads, 0);
  const slow = new Place();
  slow.held = { sequence: 1, value: 1 };
  await addOne(slow, { known });
  assertEquals([slow.reads, slow.held], [1, { sequence: 2, value: 2 }]);
});

Deno.test("settledWrite() writes nothing if there is nothing to write", async () => {
  const place = new Place();
  const end = await addOne(place, { next: () => undefined });
  assertEquals([end, place.sent], [{ kind: "unchanged", state: place.held }, []]);
});

Deno.test("settledWrite() says whether the write may be stored when it gives up", async () => {
  const deadline = () => ({ deadline: performance.now() + 50 });
  const unknown = await assertRejects(
    () => addOne(new Place(...Array<Fate>(100).fill("lost")), deadline()),
    StoreUnavailableError,
    "Cannot add one: ",
  );
  assert(unknown.message.endsWith("; nobody knows"), unknown.message);
  assertStrictEquals(unknown.cause, LOST);
  await assertRejects(
    () => addOne(new Place(), { ...deadline(), put: () => Promise.resolve({ kind: "stale" }) }),
    StoreUnavailableError,
    "Cannot add one: others are faster; it is as it was",
  );
  const refusal = new ApiError({ code: 400, err_code: 10_077, description: "no" });
  await assertRejects(
    () => addOne(new Place(), { read: () => Promise.reject(refusal) }),
    StoreRefusedError,
    "; it is as it was; ",
  );
  const reason = new Error("enough");
  const { cause } = await assertRejects(
    () => addOne(new Place(), { signal: AbortSignal.abort(reason) }),
    StoreUnavailableError,
  );
  assertStrictEquals(cause, reason);
});

Deno.test("settledWrite() passes on errors of the caller's own code", async () => {
  const slip = new TypeError("a slip");
  const place = new Place();
  const error = await assertRejects(() =>
    addOne(place, {
      next: () => {
        throw slip;
      },
    })
  );
  assertStrictEquals(error, slip);
  assertEquals(place.reads, 1);
});
