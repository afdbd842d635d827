import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  parseList,
  parseSources,
  readSources,
  sourceStanza,
} from "../../testing/nats/apt_sources.ts";
import { findNatsServer, serverVersion } from "../../testing/nats/binary.ts";
import { fromRelease, RELEASE } from "../../testing/nats/release.ts";
import { unlessSkipped } from "../support/skip.ts";

/** Programs of these tests are shell scripts. */
const skip = Deno.build.os === "windows" && "needs a shell";

/** A program in `folder` that calls itself nats-server of `version`. */
async function fakeServer(folder: string, version: string): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  const path = join(folder, "nats-server");
  await Deno.writeTextFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`, { mode: 0o755 });
  return path;
}

async function folder() {
  const path = await Deno.makeTempDir({ prefix: "aether-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** An environment of these variables. */
function environment(variables: Record<string, string>) {
  return { get: (name: string) => variables[name] };
}

Deno.test("the nats-server of this run is new enough", async () => {
  assertMatch(await serverVersion(await findNatsServer()) ?? "", /^(2\.(1[2-9]|[2-9]\d)|[3-9])\./);
});

Deno.test({
  ...unlessSkipped(
    "findNatsServer() prefers NATS_SERVER, then takes a new enough one on the PATH",
    skip,
  ),
  async fn() {
    await using place = await folder();
    const old = await fakeServer(join(place.path, "old"), "2.10.27");
    const onPath = await fakeServer(join(place.path, "new"), "2.12.0");
    const named = await fakeServer(join(place.path, "named"), "2.14.5-RC.1");
    const PATH = `${join(old, "..")}:${join(onPath, "..")}`;
    const find = (variables: Record<string, string>) =>
      findNatsServer({ fetch: false, env: environment(variables) });
    assertEquals(await find({ NATS_SERVER: named, PATH }), named);
    assertEquals(await find({ PATH }), onPath);
    await assertRejects(
      () => find({ NATS_SERVER: old, PATH }),
      Error,
      `Cannot use NATS_SERVER: ${old}: is 2.10.27, and 2.12.0 or newer is needed`,
    );
  },
});

Deno.test("findNatsServer() names every way when there is no server", async () => {
  await using place = await folder();
  const module = JSON.stringify(new URL("../../testing/nats/binary.ts", import.meta.url).href);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-config",
      `import { findNatsServer } from ${module};
       await findNatsServer({ fetch: false }).catch((error) => console.log(error.message));`,
    ],
    env: {
      NATS_SERVER: "",
      PATH: place.path,
      XDG_CACHE_HOME: place.path,
      HOME: place.path,
      LOCALAPPDATA: place.path,
    },
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout);
  for (const way of ["Cannot find", "NATS_SERVER", "PATH", "github.com", "Debian", "2.12.0"]) {
    assert(said.includes(way), said);
  }
});

Deno.test({
  ...unlessSkipped(
    "fromRelease() unpacks an archive whose checksum is right and refuses any other",
    skip,
  ),
  async fn() {
    await using place = await folder();
    const arch = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
    const kind = `${Deno.build.os}-${arch}.tar.gz`;
    const inner = `nats-server-${RELEASE}-${Deno.build.os}-${arch}`;
    await fakeServer(join(place.path, inner), "2.14.5");
    const tar = new Deno.Command("tar", { args: ["-czf", "archive", inner], cwd: place.path });
    assert((await tar.output()).success);
    const archive = await Deno.readFile(join(place.path, "archive"));
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) =>
        new URL(request.url).pathname === `/${RELEASE}/${inner}.tar.gz`
          ? new Response(archive)
          : new Response("not found", { status: 404 }),
    );
    const releases = `http://127.0.0.1:${server.addr.port}`;
    const target = join(place.path, "target");

    await assertRejects(
      () => fromRelease(RELEASE, target, "nats-server", { releases }),
      Error,
      "not the pinned",
    );
    await assertRejects(() => Deno.stat(target), Deno.errors.NotFound);

    const sums = { [kind]: createHash("sha256").update(archive).digest("hex") };
    await fromRelease(RELEASE, target, "nats-server", { releases, sums });
    assertEquals(await serverVersion(join(target, "nats-server")), "2.14.5");
    const names = (await Array.fromAsync(Deno.readDir(target))).map(({ name }) => name);
    assertEquals(names, ["nats-server"]);
    await assertRejects(
      () =>
        fromRelease(RELEASE, join(place.path, "x"), "nats-server", {
          releases: `${releases}/no`,
          sums,
        }),
      Error,
      "the answer is 404",
    );
  },
});

Deno.test("apt's one-line sources are read with their keys", () => {
  const text = `# deb http://commented.example/debian forky main
deb http://one.example/debian trixie main contrib
deb-src http://source.example/debian trixie main
  deb [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg] https://two.example/debian/ trixie main # note
deb [trusted=yes] file:/srv/mirror ./
`;
  assertEquals(parseList(text), [
    { uri: "http://one.example/debian" },
    { uri: "https://two.example/debian/", signedBy: "/keys/a.gpg /keys/b.gpg" },
    { uri: "file:/srv/mirror", trusted: "yes" },
  ]);
});

Deno.test("apt's deb822 sources are read with their keys", () => {
  const text = `# A comment
Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
# a comment in the midst
Suites: trixie trixie-updates
Components: main
Signed-By: /keys/debian.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie

Types: deb-src
URIs: http://source.example/debian
Suites: trixie

Types: deb
URIs: http://three.example/debian
Suites: trixie
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
`;
  const sources = parseSources(text);
  assertEquals(sources.map(({ uri }) => uri.slice(7)), [
    "one.example/debian",
    "two.example/debian",
    "three.example/debian",
  ]);
  assertEquals(sources[1]?.signedBy, "/keys/debian.gpg");
  assertEquals(
    sourceStanza(sources[2]!, "forky"),
    `Types: deb
URIs: http://three.example/debian
Suites: forky
Components: main
Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
`,
  );
});

Deno.test("apt's sources are gathered once each, without security mirrors, Debian's own first", async () => {
  await using place = await folder();
  await Deno.mkdir(join(place.path, "sources.list.d"));
  await Deno.writeTextFile(
    join(place.path, "sources.list"),
    "deb http://vendor.example/apt stable main\ndeb http://one.example/debian trixie main\n",
  );
  await Deno.writeTextFile(
    join(place.path, "sources.list.d", "x.sources"),
    "Types: deb\nURIs: http://one.example/debian http://one.example/debian-security\nSuites: x\n",
  );
  assertEquals((await readSources(place.path)).map(({ uri }) => uri), [
    "http://one.example/debian",
    "http://vendor.example/apt",
  ]);
});
