import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from "@nats-io/jwt";
import { createAccount, createOperator, createUser } from "@nats-io/nkeys";
import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import { NatsEventBus } from "../../bus/mod.ts";
import {
  createEvent,
  type Event,
  JetStreamEventStore,
  StoreRefusedError,
} from "../../store/mod.ts";
import { mustRun } from "../../tools/command.ts";
import { NatsServer } from "../../tools/nats_server.ts";

const PASSWORD = "s3cret-of-the-shop";
const hasOpenssl = await mustRun("openssl", ["version"]).then(() => true, () => false);

/** Makes a certificate of a server on 127.0.0.1 that signs itself; gives the folder of both files. */
async function certificate(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "aether-tls-" });
  await mustRun("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
  ], { cwd: folder });
  return folder;
}

/** Saves, reads, follows and publishes over a connection that `options` open. */
async function works(server: NatsServer, options: NodeConnectionOptions): Promise<void> {
  const connection: NatsConnection = await connect({ servers: server.url, ...options });
  try {
    const namespace = "shop";
    await using bus = new NatsEventBus(connection);
    await using store = await JetStreamEventStore.open(connection, { namespace, broadcaster: bus });
    const event = createEvent({
      ...{ eventType: "OrderPlaced", actorId: `order-${crypto.randomUUID()}`, version: 1, data: 7 },
    });
    await store.saveEvent(event);
    const [read] = await store.getEvents(event.actorId);
    assertEquals((read as Event).id, event.id);
    for await (const { actorId } of store.subscribe()) if (actorId === event.actorId) break;
  } finally {
    await connection.close();
  }
}

function loginTest(
  name: string,
  login: () => Promise<{ config: string; options: NodeConnectionOptions }>,
): void {
  Deno.test({
    name: `the store and the bus work over TLS with ${name}` +
      (hasOpenssl ? "" : " (there is no openssl)"),
    ignore: !hasOpenssl,
    async fn() {
      const folder = await certificate();
      try {
        const { config, options } = await login();
        const tls = `tls { cert_file: "${folder}/cert.pem", key_file: "${folder}/key.pem" }`;
        await using server = await NatsServer.start({ config: `${tls}\n${config}` });
        const ca = await Deno.readTextFile(`${folder}/cert.pem`);
        await works(server, { ...options, tls: { ca } });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

loginTest("a password", () =>
  Promise.resolve({
    config: `authorization { user: shop, password: "${PASSWORD}" }`,
    options: { user: "shop", pass: PASSWORD },
  }));

loginTest("an NKey", () => {
  const user = createUser();
  return Promise.resolve({
    config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
    options: { authenticator: nkeyAuthenticator(user.getSeed()) },
  });
});

loginTest("credentials of a JWT", async () => {
  const [operator, system, account, user] = [
    ...[createOperator(), createAccount(), createAccount(), createUser()],
  ] as const;
  const none = -1;
  const unlimited = {
    ...{ subs: none, data: none, payload: none, conn: none, leaf: none, imports: none },
    ...{ exports: none, wildcards: true },
    ...{ mem_storage: none, disk_storage: none, streams: none, consumer: none },
  };
  const systemJwt = await encodeAccount("SYS", system, {}, { signer: operator });
  const accountJwt = await encodeAccount("shop", account, { limits: unlimited }, {
    signer: operator,
  });
  const operatorJwt = await encodeOperator("hub", operator, {
    system_account: system.getPublicKey(),
  });
  const userJwt = await encodeUser("shop", user, account);
  return {
    config: `operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${system.getPublicKey()}: ${systemJwt}
  ${account.getPublicKey()}: ${accountJwt}
}`,
    options: { authenticator: credsAuthenticator(fmtCreds(userJwt, user)) },
  };
});

Deno.test("errors of a refused user say what to permit, and hold no secret", async () => {
  const config = `authorization { users: [
    { user: admin, password: "${PASSWORD}-admin" }
    { user: shop, password: "${PASSWORD}", permissions: {
      publish: ["$JS.API.STREAM.INFO.AETHER_shop", "$JS.API.STREAM.MSG.GET.AETHER_shop"]
      subscribe: ["_INBOX.>"]
    } }
  ] }`;
  await using server = await NatsServer.start({ config });
  const [admin, connection] = await Promise.all([
    connect({ servers: server.url, user: "admin", pass: `${PASSWORD}-admin` }),
    connect({ servers: server.url, user: "shop", pass: PASSWORD }),
  ]);
  try {
    await using _store = await JetStreamEventStore.open(admin, { namespace: "shop" });
    const error = await assertRejects(
      async () => {
        await using store = await JetStreamEventStore.open(connection, { namespace: "shop" });
        await store.saveEvent(
          createEvent({ eventType: "OrderPlaced", actorId: "order-1", version: 1, data: null }),
        );
      },
      StoreRefusedError,
    );
    const told = Deno.inspect(error, { depth: 20, showHidden: true });
    assert(/aether\.shop|DIRECT/.test(error.message), error.message);
    assert(!told.includes(PASSWORD), told);
  } finally {
    await admin.close();
    await connection.close();
  }
});
