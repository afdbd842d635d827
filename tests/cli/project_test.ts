import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { main } from "../../cli/main.ts";
import { RELEASE, templateFiles, TRANSPORT } from "../../cli/template/files.ts";
import { appendEvents, JetStreamEventStore } from "../../mod.ts";
import { run } from "../../tools/command.ts";
import { ROOT } from "../../tools/root.ts";
import { bare } from "./bed.ts";

/** Gives a folder, and removes it. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "aether-project-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(path));
}

Deno.test("`new` writes a project whose types are right, and whose tests pass", () =>
  withFolder(async (folder) => {
    const shop = join(folder, "shop");
    assertEquals((await bare("new", shop)).code, 0);
    // The release is this code, and jsr.io has it not yet.
    const own = await readJson(join(shop, "deno.json"));
    const { imports, exports } = await readJson(join(ROOT, "deno.json"));
    const package_ = Object.fromEntries(
      Object.entries<string>(exports).map(([name, path]) => [
        `@flowmade-one/aether${name.slice(1)}`,
        new URL(path, `file://${ROOT}/`).href,
      ]),
    );
    const needed = Object.entries<string>(imports).filter(([name]) =>
      /^@(nats-io|opentelemetry)\//.test(name)
    );
    own.imports = { ...Object.fromEntries(needed), ...own.imports, ...package_ };
    await Deno.writeTextFile(join(shop, "deno.json"), JSON.stringify({ ...own, lock: false }));
    for (const args of [["check", "."], ["test", "-A", "--no-check"]]) {
      const { success, output } = await run(Deno.execPath(), args, { cwd: shop });
      assert(success, output);
      if (args[0] === "test") assertMatch(output, /3 passed/);
    }
  }));

Deno.test("`new` refuses a folder that is not empty, and a name that no package has", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "notes.txt"), "mine");
    const own = join(folder, "own");
    await Deno.mkdir(own);
    await Deno.writeTextFile(join(own, "notes.txt"), "mine");
    const { code, err } = await bare("new", own);
    assertEquals(code, 1);
    assertMatch(err, /is not empty, it has notes\.txt/);
    assertEquals([...Deno.readDirSync(own)].length, 1);
    assertEquals((await bare("new", join(folder, "my shop"))).code, 2);
    assertEquals((await bare("new", join(folder, "both"), "--deno", "--node")).code, 2);
  }));

Deno.test("a new project asks for what this code is, and needs", async () => {
  const { version, imports } = await readJson(join(ROOT, "deno.json"));
  assertEquals(RELEASE, `^${version}`);
  assertEquals(imports["@nats-io/transport-node"], `npm:@nats-io/transport-node@${TRANSPORT}`);
  const manifest = JSON.parse(templateFiles("shop", "node")["package.json"]!);
  assertEquals(manifest.name, "shop");
  assertMatch(templateFiles("shop", "deno")["main.ts"]!, /namespace: "shop"/);
});

/** Runs `aether dev` until `use` is done; gives its exit code. */
async function withDev(
  args: readonly string[],
  use: (url: string, page: string) => Promise<void>,
): Promise<number> {
  const ending = new AbortController();
  const ready = Promise.withResolvers<[url: string, page: string]>();
  let said = "";
  const write = (text: string) => {
    said += text;
    const [url] = /nats:\/\/127\.0\.0\.1:\d+/.exec(said) ?? [];
    const [page] = /http:\/\/127\.0\.0\.1:\d+\//.exec(said) ?? [];
    if (url !== undefined && page !== undefined) ready.resolve([url, page]);
  };
  const sinks = { out: { write }, err: { write } };
  const running = main(["dev", ...args], { sinks, signal: ending.signal });
  running.then(() => ready.reject(new Error(said)));
  try {
    await use(...await ready.promise);
  } finally {
    ending.abort();
    await running;
  }
  return await running;
}

Deno.test("`dev` runs a server whose data outlive it, until it is interrupted", () =>
  withFolder(async (folder) => {
    const save = async (url: string, version: number) => {
      const connection = await connect({ servers: url });
      const store = await JetStreamEventStore.open(connection);
      await appendEvents(store, "order-1", version, [{ eventType: "OrderPlaced", data: null }]);
      await store[Symbol.asyncDispose]();
      await connection.close();
    };
    const args = [folder, "--port", "0"];
    const first = await withDev(args, async (url, page) => {
      const before = await fetch(page);
      assertEquals(before.status, 503);
      assertMatch(await before.text(), /There is no store of namespace "default"/);
      await save(url, 0);
      const after = await fetch(page);
      assertMatch(await after.text(), /<script/);
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ actorId: "order-1" });
      const actor = await fetch(`${page}api/actor`, { method: "POST", headers, body });
      assertEquals((await actor.json()).version, 1);
    });
    assertEquals(first, 0);
    const again = await withDev(args, async (url) => {
      await save(url, 1); // the event before is still there
      const { code, err } = await bare("dev", ...args);
      assertEquals(code, 1);
      assertMatch(err, /process \d+ is one there/);
      await withFolder(async (other) => {
        const { code, err } = await bare("dev", other, "--port", new URL(url).port);
        assertEquals(code, 1);
        assertMatch(err, /^Cannot listen on port \d+: another program does; /);
      });
    });
    assertEquals(again, 0);
    assertEquals(await Deno.readTextFile(join(folder, ".aether", ".gitignore")), "*\n");
    assertEquals((await bare("dev", folder, "--port", "nats")).code, 2);
  }));
