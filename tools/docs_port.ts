/**
 * Preloaded where documentation runs: its examples dial `localhost:4222`, as a reader would, and reach the
 * server that `NATS_DOCS_PORT` names instead, so that they never touch a server that someone runs there.
 */
import net from "node:net";
import process from "node:process";

const port = Number(process.env.NATS_DOCS_PORT);
if (port) {
  const connect = net.createConnection as (...args: unknown[]) => net.Socket;
  net.createConnection = ((to: unknown, host: unknown, ...rest: unknown[]) =>
    Number(to) === 4222
      ? connect(port, "127.0.0.1", ...rest)
      : connect(to, host, ...rest)) as typeof net.createConnection;
}
