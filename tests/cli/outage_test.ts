/**
 * What commands do while the server is out of reach, and how Ctrl-C ends them then.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { main } from "../../cli/main.ts";
import { createEvent, JetStreamEventStore } from "../../store/mod.ts";
import { natsTest, type Scene } from "../support/fixture.ts";

/** A command that runs until it is ended. */
class Running {
  readonly ending = new AbortController();
  readonly code: Promise<number>;
  text = "";
  readonly #waiting: (() => void)[] = [];

  constructor({ server, namespace }: Scene, ...args: string[]) {
    const write = (text: string) => {
      this.text += text;
      for (const look of this.#waiting) look();
    };
    this.code = main([...args, "--server", server.url, "--namespace", namespace], {
      sinks: { out: { write }, err: { write } },
      signal: this.ending.signal,
    });
  }

  /** Resolves when `part` is in what it has printed. */
  async printed(part: RegExp): Promise<string> {
    while (!part.test(this.text)) {
      const next = new Promise<void>((resolve) => this.#waiting.push(resolve));
      const ended = this.code.then((code) => `ended with ${code}`);
      const end = await Promise.race([next, ended]);
      if (end !== undefined) throw new Error(`It ${end}, without ${part}: ${this.text}`);
    }
    return part.exec(this.text)![0];
  }
}

function event(version: number, actorId = "order-1") {
  return createEvent({ eventType: "OrderPlaced", actorId, version, data: {} });
}

natsTest(
  "inspect and tail outlast an outage that nats.js gives up on, and tell of it",
  async (scene) => {
    const { namespace, server } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    await store.saveEvent(event(1));
    const inspect = new Running(scene, "inspect", "--port", "0");
    const tail = new Running(scene, "tail");
    const url = await inspect.printed(/http\S+/);
    await tail.printed(/Waiting for events/);
    const patience = { maxReconnectAttempts: 10, reconnectTimeWait: 2_000 }; // As nats.js has it.
    const impatient = await scene.connect(patience);
    await server.kill();
    await Promise.all([inspect.printed(/is lost/), tail.printed(/is lost/)]);
    await impatient.closed();
    await server.restart();
    await Promise.all([inspect.printed(/is there again/), tail.printed(/is there again/)]);
    await store.saveEvent(event(2));
    await tail.printed(/order-1 2 OrderPlaced/);
    const actor = await fetch(`${url}api/actor`, {
      ...{ method: "POST", body: '{"actorId":"order-1"}' },
      headers: { "content-type": "application/json" },
    });
    assertEquals((await actor.json()).version, 2);
    inspect.ending.abort();
    tail.ending.abort();
    assertEquals([await inspect.code, await tail.code], [0, 0]);
  },
);

natsTest("Ctrl-C ends a command soon that waits for the server", async (scene) => {
  const { namespace, server } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await store.saveEvents(Array.from({ length: 1_000 }, (_, at) => event(1, `order-${at}`)));
  const actors = new Running(scene, "actors", "--limit", "0");
  await actors.printed(/order-/);
  server.pause();
  // It has printed a page, and waits for the next one.
  const timer = setTimeout(() => actors.ending.abort(), 200);
  const start = performance.now();
  const code = await actors.code;
  const took = performance.now() - start;
  clearTimeout(timer);
  server.resume();
  assertEquals(code, 130);
  assert(took < 5_000, `it took ${took} ms`);
});

Deno.test("Ctrl-C ends the program while it waits for a server that says nothing", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const program = new URL("../../cli/main.ts", import.meta.url).pathname;
  const args = ["run", "-q", "-A", program, "actors", "--server", `127.0.0.1:${port}`];
  const child = new Deno.Command(Deno.execPath(), { args, stderr: "piped" }).spawn();
  using _connection = await listener.accept();
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  assertEquals([code, new TextDecoder().decode(stderr)], [130, ""]);
});
