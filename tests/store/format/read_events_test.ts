import { assert, assertEquals } from "@std/assert";
import { commandLogOf } from "../../../store/command_log.ts";
import type { InnerSaveOptions } from "../../../store/format/save_options.ts";
import {
  type Codec,
  createEvent,
  type Event,
  type EventStore,
  JetStreamEventStore,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import type { Skip } from "../../support/skip.ts";
import { type RawMessage, rawMessages } from "./raw_messages.ts";

const READER = new URL("../../../docs/design/read_events.py", import.meta.url);

const skip: Skip = await hasPython() ? false : "python3 is missing";

async function hasPython(): Promise<boolean> {
  const { success } = await new Deno.Command("python3", { args: ["--version"] }).output()
    .catch(() => ({ success: false }));
  return success;
}

/** A line that the reader prints. */
interface Line {
  readonly position: number;
  readonly actor: string;
  readonly version: number;
  readonly command: string | null;
  readonly commit: { readonly op: string; readonly index: number; readonly count: number };
  readonly id?: string;
  readonly type?: string;
  readonly schema?: number;
  readonly body?: unknown;
  readonly receipt?: unknown;
}

/** The output of the reader in Python for `messages`. */
async function printed(messages: readonly RawMessage[]): Promise<Line[]> {
  const python = new Deno.Command("python3", {
    args: [READER.pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = new Blob(messages.map((message) => JSON.stringify(message) + "\n"));
  const [{ success, stdout }] = await Promise.all([
    python.output(),
    input.stream().pipeTo(python.stdin),
  ]);
  assert(success);
  const text = new TextDecoder().decode(stdout).trimEnd();
  return text.split("\n").map((line) => JSON.parse(line));
}

/** The events of `store` as the reader would print them, but for commands. */
async function linesOf(
  store: EventStore,
  schemaOf: (event: Event) => number = () => 1,
  bodyOf: (event: Event) => unknown = ({ timestamp, ...event }) => ({
    ...event,
    timestamp: timestamp.toISOString(),
  }),
): Promise<Omit<Line, "command">[]> {
  const lines: Omit<Line, "command">[] = [];
  for await (const { sequence: position, commit, ...event } of store.readAll()) {
    const { actorId: actor, version, id, eventType: type } = event;
    const schema = schemaOf(event);
    lines.push({ position, actor, version, commit, id, type, schema, body: bodyOf(event) });
  }
  return lines;
}

function withoutCommand({ command: _, ...line }: Line): Omit<Line, "command"> {
  return line;
}

/** Events of `actorId` at `versions`, with content that takes several bytes a character. */
function eventsOf(actorId: string, versions: readonly number[], size = 8): Event[] {
  return versions.map((version) =>
    createEvent({
      ...{ eventType: version % 2 === 0 ? "Zug: gezogen" : "Moved", actorId, version },
      data: { text: `ä漢\n"${"x".repeat(size)}`, version, list: [null, 1.5, true] },
      metadata: { userId: "ü 1" },
    })
  );
}

natsTest(
  "The reader in Python sees the events that readAll() gives",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, {
      namespace,
      upcasters: { Moved: [(data) => data, (data) => data] },
    });
    const log = commandLogOf(store)!;
    const record = async (actorId: string, commandId: string, outcome: unknown) =>
      await log.record({ actorId, commandId, end: (await log.search(actorId)).end, outcome });
    const save = (events: Event[], options: InnerSaveOptions = {}) =>
      store.saveEvents(events, options);

    await save(eventsOf("order-1", [1]));
    await save(eventsOf("order-1", [2, 3, 4]), { command: "pay: ü" });
    await save(eventsOf("order-1", [6, 9, 10]));
    await record("order-1", "late", { refused: "zu spät" });
    await save(eventsOf("order-1", [11, 12, 13, 14, 15]), {
      parts: [{ events: 1, command: "a" }, { events: 2 }, { events: 2, command: "c.d" }],
    });
    await record("nobody 漢", "early", null);
    await save(eventsOf("album", Array.from({ length: 600 }, (_, at) => 2 * at + 1)));
    await save(eventsOf("album", [2000, 2001, 2002, 2003], 25_000), {
      parts: [{ events: 1 }, { events: 3, command: "scan" }],
    });
    await save([...eventsOf("order-1", [16, 17]), ...eventsOf("stock-7", [1])], {
      expect: [{ actorId: "user-4", version: 0 }],
    });

    const lines = await printed(await rawMessages(connection, store.stream));
    const events = lines.filter(({ receipt }) => receipt === undefined);
    const schemaOf = ({ eventType }: Event) => eventType === "Moved" ? 3 : 1;
    assertEquals(events.map(withoutCommand), await linesOf(store, schemaOf));

    const commandOf = (actor: string, version: number) =>
      events.find((line) => line.actor === actor && line.version === version)?.command;
    assertEquals([1, 2, 4, 6].map((version) => commandOf("order-1", version)), [
      ...[null, "pay: ü", "pay: ü", null],
    ]);
    assertEquals([11, 12, 13, 14, 15].map((version) => commandOf("order-1", version)), [
      ...["a", null, null, "c.d", "c.d"],
    ]);
    assertEquals([2000, 2001, 2002, 2003].map((version) => commandOf("album", version)), [
      ...[null, "scan", "scan", "scan"],
    ]);

    const receipts = lines.filter(({ receipt }) => receipt !== undefined)
      .map(({ actor, version, command, receipt }) => ({ actor, version, command, receipt }));
    assertEquals(receipts, [
      { actor: "order-1", version: 10, command: "late", receipt: { refused: "zu spät" } },
      { actor: "nobody 漢", version: 0, command: "early", receipt: null },
    ]);
  },
  { skip },
);

natsTest("The reader in Python gives the bytes of a codec as they are", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const codec: Codec<Event> = {
    encode: (event) => complement(new TextEncoder().encode(JSON.stringify(event))),
    decode: (bytes) => JSON.parse(new TextDecoder().decode(complement(bytes))),
  };
  await using store = await JetStreamEventStore.open(connection, { namespace, codec });
  await store.saveEvents(eventsOf("safe-1", [1]));
  await store.saveEvents(eventsOf("safe-1", [2, 4, 7]));
  const lines = await printed(await rawMessages(connection, store.stream));
  const opened = lines.map(({ body, ...line }) => {
    const bytes = Uint8Array.from(atob(body as string), (char) => char.charCodeAt(0));
    return {
      ...withoutCommand(line),
      body: JSON.parse(new TextDecoder().decode(complement(bytes))),
    };
  });
  assertEquals(opened, await linesOf(store));
}, { skip });

function complement(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => 255 - byte);
}
