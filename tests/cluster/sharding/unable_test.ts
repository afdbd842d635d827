import { assert, assertEquals } from "@std/assert";
import { stub } from "@std/testing/mock";
import { jetstreamManager } from "@nats-io/jetstream";
import { Cluster } from "../../../cluster/cluster.ts";
import { Ability } from "../../../cluster/sharding/ability.ts";
import { UnableMembers } from "../../../cluster/sharding/unable_members.ts";
import { isAetherError, StoreRefusedError, StoreUnavailableError } from "../../../store/errors.ts";
import { RequestError } from "../../../store/nats/request_error.ts";
import { count, QUICK, settled } from "../bed.ts";
import { natsTest } from "../../support/fixture.ts";

const NAMESPACE = "unable";

for (
  const [what, deny] of [
    ["no right to write the events", "aether.unable.>"],
    ["no right to save", "aether.unable.event.>"],
  ]
) {
  natsTest(`a node with ${what} is reported, and others serve its shards`, async (scene) => {
    const errors: Record<string, string[]> = { a: [], b: [] };
    const join = async (nodeId: string) => {
      const connection = await scene.connect({ user: nodeId, pass: nodeId });
      const cluster = await Cluster.join(connection, {
        ...QUICK,
        namespace: NAMESPACE,
        nodeId,
        timeout: 2_000,
        onError: (error) => errors[nodeId]!.push(String(error)),
      });
      count(cluster);
      return cluster;
    };
    const a = await join("a");
    await settled(a);
    const b = await join("b");
    while (a.describe().map.owned.get("b") === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const ids = Array.from({ length: 60 }, (_, at) => `counter-${at}`);
    assertEquals(await Promise.all(ids.map((actorId) => a.send(actorId, 1))), ids.map(() => 1));
    assertEquals([...a.describe().map.owned.keys()], ["a"]);
    const said = (nodeId: string, text: string) =>
      errors[nodeId]!.some((error) => error.includes(text));
    assert(said("b", 'Cannot serve shards as node "b"'), errors.b!.join());
    assert(said("a", 'Cannot give shards to node "b"'), errors.a!.join());
    await b.leave();
    await a.leave();
  }, {
    server: {
      config: `authorization { users: [
        { user: a, password: a },
        { user: b, password: b, permissions: { publish: { deny: ["${deny}"] } } },
      ] }`,
    },
    leakCheck: false, // Nobody may ask this server without a login.
  });
}

natsTest(
  "nodes whose stream is another one by now are reported, and a new one serves their shards",
  async (scene) => {
    const { namespace } = scene;
    const errors: string[] = [];
    const join = async (nodeId: string) => {
      const onError = (error: unknown) => errors.push(String(error));
      const options = { ...QUICK, namespace, nodeId, timeout: 2_000, onError };
      const cluster = await Cluster.join(await scene.connect(), options);
      count(cluster);
      return cluster;
    };
    const [a, b] = [await join("a"), await join("b")];
    await settled(a, b);
    const ids = Array.from({ length: 60 }, (_, at) => `counter-${at}`);
    assertEquals(await Promise.all(ids.map((actorId) => a.send(actorId, 1))), ids.map(() => 1));
    const manager = await jetstreamManager(await scene.connect());
    await manager.streams.delete(`AETHER_${namespace}`);
    const c = await join("c"); // It makes the stream again, which is empty.
    const sent = async (actorId: string): Promise<unknown> => {
      for (;;) {
        try {
          return await c.send(actorId, 2);
        } catch (error) {
          if (!isAetherError(error, "CommandFailedError")) throw error;
          assertEquals(error.failure.name, "StreamRegressedError");
        }
      }
    };
    assertEquals(await Promise.all(ids.map(sent)), ids.map(() => 1));
    assertEquals([...c.describe().map.owned.keys()], ["c"]);
    for (const nodeId of ["a", "b"]) {
      const text = `Cannot serve shards as node "${nodeId}": Cannot go on with stream`;
      assert(errors.some((error) => error.includes(text)), errors.join());
    }
    for (const node of [c, b, a]) await node.leave();
  },
);

const denied = new StoreRefusedError("Cannot claim", "give the right", undefined, {
  cause: new RequestError("denied", "aether.x", false, { cause: new Error("no right") }),
});
const passing = new StoreUnavailableError("Cannot claim", {
  cause: new RequestError("timeout", "aether.x", true),
});

const tooLarge = new StoreRefusedError("Cannot save", "save less", 10199);
const givenUp = new StoreUnavailableError("Cannot save", { cause: new Error("by its caller") });

Deno.test("a failure that lasts counts at once, one that passes does not, and success ends it", () => {
  const errors: unknown[] = [];
  const ability = new Ability("a", (error) => errors.push(error));
  ability.failed(1, passing);
  ability.failed(2, new Error("of the handler"));
  ability.failed(2, tooLarge);
  ability.failed(2, givenUp);
  assertEquals([ability.problem, errors], [undefined, []]);
  ability.failed(1, denied);
  ability.failed(1, denied);
  assert(ability.problem?.includes("denied"), ability.problem);
  assertEquals(errors.length, 1);
  ability.failed(3, denied);
  ability.ended(1);
  assert(ability.problem !== undefined);
  ability.ended(3);
  assertEquals(ability.problem, undefined);
});

Deno.test("a member that cannot serve gets nothing for a while, unless none can", () => {
  const errors: unknown[] = [];
  const [a, b] = ["a", "b"].map((nodeId) => ({ nodeId, incarnation: "1", capacity: 1 }));
  const unable = new UnableMembers((error) => errors.push(error));
  assertEquals(unable.note(a!, undefined), false);
  assertEquals([unable.note(a!, "no room"), unable.note(a!, "no room")], [true, false]);
  assertEquals(unable.without([a!, b!]).map(({ capacity }) => capacity), [0, 1]);
  assertEquals([unable.has(a!), unable.has(b!), errors.length], [true, false, 1]);
  unable.note(b!, "no room");
  assertEquals(unable.without([a!, b!]), [a!, b!]);
  const again = { ...a!, incarnation: "2" };
  assertEquals(unable.without([again, b!]).map(({ capacity }) => capacity), [1, 0]);
});

Deno.test("a member that fails again soon waits longer, one that has served for a while does not", () => {
  let now = 0;
  using _clock = stub(performance, "now", () => now);
  const members = new UnableMembers(() => {});
  const member = { nodeId: "a", incarnation: "1", capacity: 1 };
  const pause = (): number => {
    assert(members.note(member, "no disk"));
    const start = now;
    while (members.has(member)) now += 1_000;
    return now - start;
  };
  assertEquals(pause(), 30_000);
  now += 10_000;
  assertEquals(pause(), 60_000);
  now += 60_000; // as long as the last pause
  assertEquals(pause(), 30_000);
  assertEquals(pause(), 60_000);
  assertEquals(pause(), 120_000);
});
