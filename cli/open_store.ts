import { decodeJson } from "../store/base/json.ts";
import type { Connection } from "../store/connection.ts";
import { Layout } from "../store/format/layout.ts";
import { JetStreamEventStore } from "../store/mod.ts";
import { failed } from "../store/nats/failure.ts";
import { openRequests } from "../store/nats/open.ts";
import { RequestError } from "../store/nats/request_error.ts";
import type { App } from "./verb.ts";

/** How long the server has to answer, in ms. */
const TIMEOUT = 10_000;

/** Opens the store; one that is not there is made only if the caller wants that. */
export async function openStore(
  connection: Connection,
  namespace: string,
  { codec, events, upcasters }: App,
  create: boolean,
): Promise<JetStreamEventStore> {
  if (!create) await needStore(connection, namespace);
  return await JetStreamEventStore.open(connection, {
    namespace,
    ...(codec !== undefined && { codec }),
    ...(events !== undefined && { events }),
    ...(upcasters !== undefined && { upcasters }),
  });
}

/** Throws unless the server has the store of `namespace`. */
export async function needStore(connection: Connection, namespace: string): Promise<void> {
  const what = `namespace "${namespace}"`;
  const subject = `$JS.API.STREAM.INFO.${new Layout(namespace).stream}`;
  const requests = openRequests(connection, what);
  let info: { error?: { code: number } };
  try {
    const { data } = await requests.request(subject, "", TIMEOUT);
    info = decodeJson(data) as typeof info;
  } catch (cause) {
    if (!(cause instanceof RequestError) || cause.failure !== "no responders") {
      throw failed(`open ${what}`, cause);
    }
    const advice = "turn it on: see `jetstream` in the server's configuration";
    throw new Error(`Cannot open ${what}: the server has no JetStream; ${advice}`, { cause });
  } finally {
    requests.close();
  }
  if (info.error?.code !== 404) return;
  throw new Error(`There is no store of namespace "${namespace}"; look at --namespace`);
}
