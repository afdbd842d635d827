/**
 * Shows that nats-server can forget a stream when it is killed while it changes the stream's
 * configuration: at its next start it says that there is none. A stream that is made again by that
 * name has the messages. `deno task deno run -A tests/chaos/server/update_kill.ts [seconds]` counts.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { NatsServer } from "../../../tools/nats_server.ts";
import { api } from "../../support/jetstream_api.ts";
import { pause } from "../scenario.ts";

const NAME = "FORGOTTEN";
const MESSAGES = 10;

if (import.meta.main) {
  await using server = await NatsServer.start();
  const end = performance.now() + 1_000 * Number(Deno.args[0] ?? 30);
  const config = { name: NAME, subjects: ["forgotten"], storage: "file", num_replicas: 1 };
  let [kills, forgotten, emptied, said] = [0, 0, 0, ""];
  while (performance.now() < end) {
    const connection = await connect({ servers: server.url, reconnect: false, timeout: 5_000 });
    const found = await api(connection, `STREAM.INFO.${NAME}`).catch(String);
    if (typeof found === "string") {
      const { state } = await api<{ state: { messages: number } }>(
        connection,
        `STREAM.CREATE.${NAME}`,
        config,
      );
      if (kills > 0) {
        forgotten++;
        said = server.log(20).split("\n").findLast((line) => /\[(WRN|ERR)\]/.test(line)) ?? said;
        if (state.messages < MESSAGES) emptied++;
      }
      for (let left = MESSAGES - state.messages; left > 0; left--) {
        await connection.request("forgotten");
      }
    }
    let isOver = false;
    const updates = (async () => {
      for (let max = 1; !isOver; max++) {
        await api(connection, `STREAM.UPDATE.${NAME}`, { ...config, max_bytes: 1e6 + max });
      }
    })().catch(() => {}); // The server is gone.
    await pause(50 * Math.random());
    await server.kill();
    isOver = true;
    kills++;
    await updates;
    await connection.close();
    await server.restart();
  }
  console.log({ kills, forgotten, "of these without messages": emptied, said });
}
