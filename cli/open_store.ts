import type { Connection } from "../store/connection.ts";
import { Layout } from "../store/format/layout.ts";
import { JetStreamEventStore } from "../store/mod.ts";
import type { App } from "./verb.ts";

/** Opens the store; one that is not there is made only if the caller wants that. */
export async function openStore(
  connection: Connection,
  namespace: string,
  { codec, events, upcasters }: App,
  create: boolean,
): Promise<JetStreamEventStore> {
  if (!create) {
    const subject = `$JS.API.STREAM.INFO.${new Layout(namespace).stream}`;
    const info = await connection.request(subject, "", { timeout: 10_000 }).catch((cause) => {
      throw new Error(
        `Cannot open namespace "${namespace}": the server does not answer, or has no JetStream`,
        { cause },
      );
    });
    const { error } = info.json<{ error?: { code: number } }>();
    if (error?.code === 404) {
      throw new Error(`There is no store of namespace "${namespace}"; look at --namespace`);
    }
  }
  return await JetStreamEventStore.open(connection, {
    namespace,
    ...(codec !== undefined && { codec }),
    ...(events !== undefined && { events }),
    ...(upcasters !== undefined && { upcasters }),
  });
}
