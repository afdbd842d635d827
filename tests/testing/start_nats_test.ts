import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { appendEvents, JetStreamEventStore } from "../../store/mod.ts";
import { startNats } from "../../testing/nats/mod.ts";

/** The folders of servers that are there. */
async function folders(): Promise<Set<string>> {
  const names = await Array.fromAsync(Deno.readDir(Deno.env.get("TMPDIR") ?? "/tmp"));
  return new Set(names.map(({ name }) => name).filter((name) => name.startsWith("aether-nats-")));
}

async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return await Deno.connect({ hostname, port: Number(port) })
    .then((conn) => (conn.close(), true), () => false);
}

for (const servers of [1, 3] as const) {
  Deno.test(`startNats() starts ${servers} of them, and leaves nothing`, async () => {
    let urls: string[] = [];
    {
      await using nats = await startNats({ servers });
      urls = nats.urls;
      assertEquals([urls.length, new Set(urls).size, nats.url], [servers, servers, urls[0]]);
      const connection = await connect({ servers: urls });
      const store = await JetStreamEventStore.open(connection, { replicas: servers });
      await appendEvents(store, "order-1", 0, [{ eventType: "Placed", data: null }]);
      assertEquals(await store.getLatestVersion("order-1"), 1);
      await store[Symbol.asyncDispose]();
      await connection.close();
      await nats[Symbol.asyncDispose](); // and again by `await using`
    }
    for (const url of urls) assertEquals(await isListening(url), false);
  });
}

Deno.test("startNats() takes the version that is asked for, and names the ways if there is none", async () => {
  await using any = await startNats();
  const connection = await connect({ servers: any.url });
  const version = connection.info!.version;
  await connection.close();
  const short = version.split(".").slice(0, 2).join(".");
  for (const wanted of [version, short]) {
    await using nats = await startNats({ version: wanted });
    const connection = await connect({ servers: nats.url });
    assertEquals(connection.info!.version, version);
    await connection.close();
  }
});

Deno.test("startNats() says why servers do not start", async () => {
  const before = await folders();
  await assertRejects(() => startNats({ config: "no such thing {" }), Error, "it ended");
  await assertRejects(() => startNats({ servers: 2 as 1 }), RangeError, "1 or 3");
  const left = (await folders()).difference(before);
  // Other tests may run beside this one: only ours has such a file.
  for (const name of left) {
    const file = `${Deno.env.get("TMPDIR") ?? "/tmp"}/${name}/server.conf`;
    assert(!(await Deno.readTextFile(file).catch(() => "")).includes("no such thing"));
  }
});

Deno.test("a server of startNats() ends with a process that is killed", async () => {
  const module = JSON.stringify(new URL("../../testing/nats/mod.ts", import.meta.url).href);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      `import { startNats } from ${module};
       console.log((await startNats()).url);
       await new Promise(() => setInterval(() => {}, 1_000));`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let url = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    url += text;
    if (url.includes("\n")) break;
  }
  assertMatch(url, /^nats:/);
  child.kill("SIGKILL");
  await child.status;
  // Nothing reports the end of another process's child: it looks again.
  while (await isListening(url.trim())) await new Promise((resolve) => setTimeout(resolve, 20));
});
