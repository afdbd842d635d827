import { assert } from "@std/assert";
import { isAetherError } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { publishAck } from "../../support/nats_frames.ts";
import { storeTest } from "../../support/stores.ts";

storeTest("Acknowledgements that come twice hold a store up only while they do", async (stores) => {
  const proxy = stores.scene.proxy();
  const { store } = await stores.open({}, proxy.url);
  let version = 1;
  /** Saves until it ends as wanted, for 20 s at most. */
  const saveUntil = async (isWanted: (error: unknown) => boolean, what: string) => {
    for (const end = performance.now() + 20_000; performance.now() < end;) {
      const error = await store.saveEvent(fact("order-1", version)).then(
        () => void version++,
        (error: unknown) => error,
      );
      if (isWanted(error)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`It ${what} never`);
  };
  // For all that the store can see, another stream acknowledges what it saves.
  proxy.onServerFrame = (frame) => publishAck(frame) === undefined ? "pass" : "double";
  await saveUntil((error) => isAetherError(error, "StoreRefusedError"), "refuses");
  proxy.onServerFrame = () => "pass";
  await saveUntil((error) => error === undefined, "goes on");
  assert((await store.getEvents("order-1")).length === version - 1, "Each is stored once");
});
