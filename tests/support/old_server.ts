import { assertEquals } from "@std/assert";
import { fetchNatsServer } from "../../testing/nats/binary.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { Scene } from "./fixture.ts";
import { unlessSkipped } from "./skip.ts";

/** Whether apt can bring Debian's own old server here. */
const DEBIAN = await Deno.readTextFile("/etc/os-release").then(
  (text) => /^ID=debian$/m.test(text),
  () => false,
);

/** A test on the nats-server 2.10 that Debian has, after which it may hold no stream. */
export function oldServerTest(name: string, run: (scene: Scene) => Promise<void>): void {
  const fn = async (): Promise<void> => {
    await using server = await NatsServer.start({ binary: await fetchNatsServer("trixie") });
    const scene = new Scene([server]);
    try {
      await run(scene);
      const { streams } = await server.monitor<{ streams: number }>("/jsz");
      assertEquals(streams, 0);
      await scene.assertNoLeaks();
    } finally {
      await scene.close();
    }
  };
  Deno.test({ ...unlessSkipped(name, !DEBIAN && "needs apt of Debian"), fn });
}
