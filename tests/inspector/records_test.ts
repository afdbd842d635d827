import { assertEquals } from "@std/assert";
import { KvCheckpointStore, Projection } from "../../store/mod.ts";
import { namesIn } from "../../cli/records.ts";
import { storeTest } from "../support/stores.ts";
import { Desk } from "./bed.ts";

storeTest("keys of others in the bucket of projections are passed over", async (stores) => {
  const { store, connection } = await stores.open();
  const { namespace } = stores;
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  await using projection = new Projection({
    ...{ name: "orders", store, checkpoints },
    handler: () => {},
  });
  await projection.pause();
  const key = `$KV.${checkpoints.bucket}.checkpoint.not=a=token.control`;
  await connection.request(key, "text");
  const { projections } = await new Desk({ store }).view("projections");
  assertEquals(projections.map(({ name }: { name: string }) => name), ["orders"]);
  assertEquals((await new Desk({ store }).view("processes")).processes, []);
  assertEquals(await namesIn(connection, namespace), ["orders"]);
});
