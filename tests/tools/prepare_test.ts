import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inReach, jsrUrl } from "../../tools/jsr.ts";
import { withConfig } from "../../tools/prepare.ts";
import { unlessSkipped } from "../support/skip.ts";
import { ROOT } from "../../tools/root.ts";

/** A JSR registry on loopback that holds `@std/assert` and notes what it was asked. */
function loopbackRegistry() {
  const module = `export const assert = () => "from the registry";\n`;
  const sum = createHash("sha256").update(module).digest("hex");
  const files: Record<string, string> = {
    "/@nats-io/nats-core/meta.json": `{ "versions": { "3.4.0": {} } }`,
    "/@std/assert/meta.json": `{ "latest": "1.0.0", "versions": { "1.0.0": {} } }`,
    "/@std/assert/1.0.0_meta.json": JSON.stringify({
      manifest: { "/mod.ts": { size: module.length, checksum: `sha256-${sum}` } },
      exports: { ".": "./mod.ts" },
    }),
    "/@std/assert/1.0.0/mod.ts": module,
  };
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const file = files[pathname];
    return file ? new Response(file) : new Response("not found", { status: 404 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A folder that is gone when the test ends. */
async function folder() {
  const path = await Deno.makeTempDir({ prefix: "aether-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Runs `tools/prepare.ts` in `cwd`. */
function prepare(args: string[], cwd: string, env: Record<string, string> = {}) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", join(ROOT, "tools", "prepare.ts"), ...args],
    cwd,
    env: { INIT_CWD: cwd, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("prepare uses JSR, and no twin, when JSR is in reach", async () => {
  await using registry = loopbackRegistry();
  assertEquals(await inReach(registry.url), true);
  assertEquals(await jsrUrl({ official: registry.url, given: "" }), undefined);
});

Deno.test("prepare uses the twin when JSR refuses the connection", async () => {
  const registry = loopbackRegistry();
  await registry[Symbol.asyncDispose]();
  assertEquals(await inReach(registry.url), false);
  const url = await jsrUrl({ official: registry.url, given: "" });
  assertMatch(url ?? "", /^file:\/\/.*\/twin\/[0-9a-f]+\/$/);
});

Deno.test("prepare treats a server that is no JSR registry as JSR out of reach", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("<html>Log in to the network</html>"),
  );
  assertEquals(await inReach(`http://127.0.0.1:${server.addr.port}/`), false);
});

Deno.test("prepare waits for JSR for less than 3 s", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" }); // accepts and never answers
  const before = performance.now();
  assertEquals(await inReach(`http://127.0.0.1:${listener.addr.port}/`), false);
  assert(performance.now() - before < 3_000);
  listener.close();
});

Deno.test("prepare keeps a JSR_URL that is set", async () => {
  await using registry = loopbackRegistry();
  assertEquals(await jsrUrl({ official: registry.url, given: "https://jsr.example/" }), undefined);
  assertEquals(registry.asked, []);
});

Deno.test("prepare runs a script against the registry that JSR_URL names and makes no twin", async () => {
  await using registry = loopbackRegistry();
  await using place = await folder();
  const script = `import { assert } from "@std/assert"; console.log(assert());`;
  await Deno.writeTextFile(join(place.path, "script.js"), script);
  const { stdout, stderr } = await prepare(["--no-server", "run", "-A", "script.js"], place.path, {
    JSR_URL: registry.url,
    XDG_CACHE_HOME: join(place.path, "cache"),
    HOME: place.path,
    LOCALAPPDATA: place.path,
    DENO_DIR: join(place.path, "deno"),
  }).output();
  assertEquals([text(stdout).trim(), text(stderr).replace(/^Download .*\n/gm, "")], [
    "from the registry",
    "",
  ]);
  assert(registry.asked.includes("/@std/assert/1.0.0/mod.ts"));
  const names = (await Array.fromAsync(Deno.readDir(place.path))).map(({ name }) => name).sort();
  assertEquals(names, ["deno", "script.js"]);
});

Deno.test("prepare makes one whole twin when several tasks start at once", async () => {
  await using place = await folder();
  const env = { XDG_CACHE_HOME: place.path, JSR_URL: "" };
  const code = `import { twinRegistry } from ${
    JSON.stringify(`${new URL("../../tools/twin.ts", import.meta.url)}`)
  };
    console.log(await twinRegistry());`;
  const runs = await Promise.all([1, 2].map(() =>
    new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", code],
      env,
      stdin: "null",
    }).output()
  ));
  const [one = "", two] = runs.map(({ stdout }) => text(stdout).trim());
  assertEquals(one, two);
  assert(one.startsWith(place.path), runs.map(({ stderr }) => text(stderr)).join("\n"));
  const twins = await Array.fromAsync(Deno.readDir(join(place.path, "aether", "twin")));
  assertEquals(twins.length, 1);
  const meta = JSON.parse(
    await Deno.readTextFile(join(one, "@nats-io", "nats-core", "meta.json")),
  );
  assertMatch(meta.latest, /^3\.\d+\.\d+$/);
});

Deno.test("prepare adds the project's config after the subcommand, unless one is given", () => {
  assertEquals(withConfig(["run", "-A", "a.ts"], "x"), ["run", "--config", "x", "-A", "a.ts"]);
  for (const own of [["--config", "y.json"], ["--config=y"], ["-c", "y.jsonc"], ["--no-config"]]) {
    assertEquals(withConfig(["run", ...own, "a.ts"], "x"), ["run", ...own, "a.ts"]);
  }
  assertEquals(withConfig(["--version"], "x"), ["--version"]);
  assertEquals(withConfig(["upgrade"], "x"), ["upgrade"]);
});

Deno.test("prepare runs a script named from the caller's folder and passes on its exit code", async () => {
  await using place = await folder();
  const script = `import { assert } from "@std/assert"; assert(true);
    console.log(Deno.args.join()); Deno.exit(7);`;
  await Deno.writeTextFile(join(place.path, "script.ts"), script);
  const { code, stdout, stderr } = await prepare(
    ["--no-server", "run", "-A", "script.ts", "--config", "mine"],
    place.path,
  ).output();
  assertEquals([code, text(stdout).trim()], [7, "--config,mine"], text(stderr));
});

Deno.test({
  ...unlessSkipped(
    "prepare passes SIGTERM on to the program it runs",
    Deno.build.os === "windows" && "Windows has no SIGTERM",
  ),
  async fn() {
    await using place = await folder();
    const script =
      `Deno.addSignalListener("SIGTERM", () => { console.log("ended"); Deno.exit(3); });
      console.log("ready"); setInterval(() => {}, 1000);`;
    await Deno.writeTextFile(join(place.path, "script.js"), script);
    await using child = prepare(["--no-server", "run", "-A", "script.js"], place.path).spawn();
    let said = "";
    for await (const chunk of child.stdout) {
      said += text(chunk);
      if (said.endsWith("ready\n")) child.kill("SIGTERM");
    }
    const { code } = await child.status;
    await child.stderr.cancel();
    assertEquals([said, code], ["ready\nended\n", 3]);
  },
});

Deno.test("prepare and the tools it uses import nothing that must be fetched", async () => {
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const source = await Deno.readTextFile(path);
    for (
      const [, specifier = ""] of source.matchAll(
        /^(?:import|export)\s(?:[^;"]*\sfrom\s)?"([^"]+)";/gm,
      )
    ) {
      if (specifier.startsWith("node:")) continue;
      assert(/^\.\.?\//.test(specifier), `${path} imports ${specifier}`);
      await visit(join(path, "..", specifier));
    }
  };
  await visit(fileURLToPath(new URL("../../tools/prepare.ts", import.meta.url)));
  assert(seen.size >= 8, [...seen].join());
});
