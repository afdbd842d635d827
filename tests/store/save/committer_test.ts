import { asStreamSequence } from "../../../store/format/position.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Committer } from "../../../store/save/committer.ts";
import type { Head } from "../../../store/read/heads.ts";
import { HeadCache } from "../../../store/read/heads.ts";
import { runsOf } from "../../../store/format/runs.ts";
import type { Save } from "../../../store/save/messages.ts";
import type { TryOutcome } from "../../../store/nats/publisher.ts";
import type { StoredMessage } from "../../../store/nats/stored_message.ts";
import { isAetherError } from "../../../store/mod.ts";

/** A message as a leader or a replica reports it. */
function message(actorId: string, sequence: number, op = "other"): StoredMessage {
  const header = (name: string) => name === "Aether-Op" ? op : "";
  return {
    sequence: asStreamSequence(sequence),
    subject: actorId,
    data: new Uint8Array(),
    text: "",
    time: "",
    header,
    headerNames: () => [],
  };
}

/**
 * Commits one event of `a` with a guard on `b`, without an answer. The guarded actor moves on
 * behind it, to sequence 9; the leader that is asked for events of `a` is a deposed one and shows
 * none; a replica that has come to `upTo` shows the end of `a` at `last`.
 *
 * @param outcomes What the tries to send it come to instead.
 */
function commit(upTo: number, last: number, outcomes?: readonly TryOutcome[]): Promise<unknown> {
  const start: Head = { version: 1, sequence: asStreamSequence(3) };
  const headReader = {
    subjectOf: (actorId: string) => actorId,
    read: (actorId: string) =>
      Promise.resolve(
        actorId === "b" && tries > 0 && outcomes === undefined
          ? { version: 2, sequence: 9 }
          : start,
      ),
    next: (actorId: string) => Promise.resolve(actorId === "b" ? message("b", 9) : undefined),
  };
  let tries = 0;
  const publisher = {
    publish: () => {
      const at = tries++;
      const outcome = { kind: at === 0 ? "unknown" : "stale", cause: new Error() };
      return Promise.resolve(outcomes?.[Math.min(at, outcomes.length - 1)] ?? outcome);
    },
  };
  const requests = {
    epoch: 0,
    closed: false,
    connected: () => Promise.resolve(),
    collect: (
      _subject: string,
      _query: string,
      _idle: number,
      take: (message: unknown) => boolean,
    ) => {
      const part = (lines: string[]) => {
        const fields = Object.fromEntries(lines.map((line) => line.split(": ")));
        const keys = Object.keys(fields);
        const headers = { status: "", keys: () => keys, get: (name: string) => fields[name] };
        return { data: new Uint8Array(), subject: "", headers };
      };
      take(
        part([
          "Nats-Stream: S",
          "Nats-Sequence: " + last,
          "Nats-Subject: a",
          "Nats-Last-Sequence: 0",
        ]),
      );
      const end = part(["Nats-Last-Sequence: " + last, "Nats-UpTo-Sequence: " + upTo]);
      end.headers.status = "204 EOB";
      take(end);
      return Promise.resolve();
    },
  };
  const api = { requests, direct: "direct", layout: { genesis: "genesis", stream: "S" } };
  const parts = {
    api,
    heads: new HeadCache(9),
    headReader,
    check: { ensure: () => undefined, suspect: () => {} },
    publisher,
    markerOf: () => "m",
  };
  const committer = new Committer(parts as never);
  const events = [{
    id: "id",
    actorId: "a",
    version: 2,
    eventType: "A",
    schema: 1,
    timestamp: "",
    metadata: undefined,
    body: new Uint8Array(),
    isJson: true,
  }];
  return committer.commit({
    op: "op",
    events,
    runs: runsOf({ events }, 2 ** 20),
    actors: ["a"],
    expect: new Map([["b", 1]]),
    deadline: performance.now() + 100,
  } as unknown as Save);
}

Deno.test("A broken guard is a conflict if a replica proves that the save is absent", async () => {
  const error = await assertRejects(() => commit(9, 3));
  assert(isAetherError(error, "VersionConflictError"));
  assertEquals(error.actorId, "b");
});

Deno.test("A broken guard is no conflict while the save may only be out of sight", async () => {
  for (const [upTo, last] of [[8, 3], [9, 7]] as const) {
    const error = await assertRejects(() => commit(upTo, last));
    assert(isAetherError(error, "SaveOutcomeUnknownError"), `${error}`);
  }
});

Deno.test("The reason why the server refused a save stays, when the time is over before the next try", async () => {
  const busy: TryOutcome = { kind: "absent", cause: new Error("more batches are open") };
  const late: TryOutcome = { kind: "absent", cause: undefined };
  const reasons = [];
  for (const outcomes of [[busy, late], [late]]) {
    const error = await assertRejects(() => commit(9, 3, outcomes));
    assert(isAetherError(error, "StoreUnavailableError"), `${error}`);
    reasons.push(error.message.split(": ")[1]);
  }
  assertEquals(reasons, [
    "more batches are open; nothing was saved",
    "its turn did not come in time; nothing was saved",
  ]);
});
