// Runs the shop until a signal ends it. The environment says where and how.
import process from "node:process";
import { connect } from "@nats-io/transport-node";
import { carrierAt, noCarrier } from "./carrier.ts";
import { type Framework, serve } from "./server.ts";
import { openShop } from "./shop.ts";

const {
  PORT = "8080",
  NATS_URL = "127.0.0.1:4222",
  FILE = "shop.db",
  FRAMEWORK = "hono", // or fastify
  PAYMENT_TIME = "900000", // ms
  CARRIER,
} = process.env;

// NATS may be away for as long as it likes: the shop waits for it.
const connection = await connect({ servers: NATS_URL, maxReconnectAttempts: -1 });
const shop = await openShop({
  connection,
  file: FILE,
  carrier: CARRIER === undefined ? noCarrier : carrierAt(CARRIER),
  paymentTime: Number(PAYMENT_TIME),
});
const framework: Framework = FRAMEWORK === "fastify" ? "fastify" : "hono";
const server = await serve(shop.routes, { framework, port: Number(PORT) });
console.log(`The shop is open at ${server.url}`);

const signal = new Promise<void>((resolve) => {
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => resolve());
});
try {
  await Promise.race([signal, shop.running]); // Fails if the projection or the process does.
} catch (error) {
  console.error("The shop cannot go on:", error);
  process.exitCode = 1;
}
shop.endStreams(); // Requests that would not end by themselves.
await server.close(); // Those under way are answered.
await shop.close(); // The process and the projection end what they are at.
await connection.close();
console.log("The shop is closed");
