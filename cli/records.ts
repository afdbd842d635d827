import { projectionsIn } from "../inspector/look/records.ts";
import { isRecord } from "../store/base/json.ts";
import type { Connection } from "../store/connection.ts";
import { Layout } from "../store/format/layout.ts";
import { bucketStream } from "../store/kv/bucket_config.ts";
import { failed } from "../store/nats/failure.ts";
import { projectionBucket } from "../store/projection/kv_checkpoints.ts";

/** The projections that the bucket of the namespace has records of. */
export async function namesIn(connection: Connection, namespace: string): Promise<string[]> {
  const bucket = projectionBucket(namespace);
  const prefix = `$KV.${bucket}.`;
  const found = await infoOf(connection, bucketStream(bucket), {
    subjects_filter: `${prefix}checkpoint.*.control`,
  });
  const subjects = isRecord(found?.state) && isRecord(found.state.subjects)
    ? Object.keys(found.state.subjects)
    : [];
  return projectionsIn(subjects.map((subject) => subject.slice(prefix.length)));
}

/** The last sequence of the stream of events; 0 if there is none. */
export async function lastOf(connection: Connection, namespace: string): Promise<number> {
  const { state } = await infoOf(connection, new Layout(namespace).stream, {}) ?? {};
  return isRecord(state) ? Number(state.last_seq) : 0;
}

async function infoOf(
  connection: Connection,
  stream: string,
  query: object,
): Promise<Record<string, unknown> | undefined> {
  const subject = `$JS.API.STREAM.INFO.${stream}`;
  const answer = await connection.request(subject, JSON.stringify(query), { timeout: 10_000 })
    .catch((cause) => {
      throw failed(`look up stream "${stream}"`, cause);
    });
  const info = answer.json<Record<string, unknown>>();
  return info.error === undefined ? info : undefined;
}
