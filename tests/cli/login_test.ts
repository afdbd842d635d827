import { assert, assertEquals, assertMatch } from "@std/assert";
import { natsTest } from "../support/fixture.ts";
import { connectAs } from "../../cli/connection.ts";
import { bare } from "./bed.ts";

const user = `{ user: "ann", password: "b@d:word", permissions: { publish: ["_INBOX.>"] } }`;
const config = `authorization { users = [ ${user}, { user: "root", password: "r" } ] }`;

natsTest("a URL holds the login, and no error shows it", async ({ server, namespace }) => {
  const urlOf = (login: string) => server.url.replace("//", `//${login}@`);
  for (const url of [urlOf("root:r"), `${urlOf("root:r")}, 127.0.0.1:1`]) {
    const { code, err } = await bare("actors", "--server", url, "--namespace", namespace);
    assertEquals(code, 1);
    assertMatch(err, /There is no store of namespace/);
  }
  const denied = await bare("actors", "--server", urlOf("ann:b%40d%3Aword"));
  assertEquals(denied.code, 1);
  assertMatch(
    denied.err,
    /^Cannot open namespace "default": [^]*denied; give the connection's user/,
  );
  const down = await bare("actors", "--server", "nats://ann:secret@127.0.0.1:1");
  assertEquals(down.code, 1);
  assertMatch(down.err, /^Cannot connect to nats:\/\/127.0.0.1:1: /);
  assert(!down.err.includes("secret"), down.err);
}, { server: { config } });

natsTest("a URL may hold a token", async ({ server }) => {
  const { code, err } = await bare("actors", "--server", server.url.replace("//", "//a%25b@"));
  assertEquals(code, 1);
  assertMatch(err, /There is no store of namespace "default"/);
}, { server: { config: `authorization { token: "a%b" }` } });

natsTest("a tls:// URL refuses a server without TLS", async ({ server }) => {
  const { code, err } = await bare("actors", "--server", server.url.replace("nats:", "tls:"));
  assertEquals(code, 1);
  assertMatch(err, /^Cannot connect to tls:[^]* does not support 'tls'/);
});

Deno.test("a file that holds no login is told before anybody connects", async () => {
  const none = await bare("actors", "--creds", "/nowhere.creds", "--server", "127.0.0.1:1");
  assertEquals(none.code, 2);
  assertMatch(none.err, /^Cannot read \/nowhere.creds$/m);
  const file = await Deno.makeTempFile();
  try {
    for (const option of ["--creds", "--nkey"]) {
      const { code, err } = await bare("actors", option, file, "--server", "127.0.0.1:1");
      assertEquals(code, 2);
      assertMatch(err, new RegExp(`^Cannot log in with ${file}: `));
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a login that the server refuses later is told", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  let refuse = () => {};
  // A real server closes the connection too, at which Deno may end the whole program.
  const server = (async () => {
    using peer = await listener.accept();
    const send = (text: string) => peer.write(new TextEncoder().encode(`${text}\r\n`));
    refuse = () => send("-ERR 'Authorization Violation'");
    await send('INFO {"server_id":"S","version":"2.15.0","max_payload":1048576}');
    const decoder = new TextDecoderStream();
    for await (const text of peer.readable.pipeThrough(decoder)) {
      if (text.includes("PING")) await send("PONG");
    }
  })();
  const { promise: told, resolve: tell } = Promise.withResolvers<string>();
  const { signal } = new AbortController();
  const connection = await connectAs({ server: `127.0.0.1:${port}` }, {
    lasts: true,
    signal,
    tell,
  });
  refuse();
  assertMatch(
    await told,
    /^The server at \S+ has refused the login: Authorization Violation; look/,
  );
  await connection.close();
  await server;
});
