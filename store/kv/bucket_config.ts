import type { StreamConfig } from "@nats-io/jetstream";
import { StreamConfigError } from "../errors.ts";
import { ensureStream, opening } from "../nats/open.ts";
import type { StreamApi, StreamNames } from "../nats/stream_api.ts";
import { FORBIDDEN, problemsOf } from "../nats/stream_config.ts";

/** The settings that a bucket needs to keep its promises. */
const REQUIRED = {
  retention: "limits",
  storage: "file",
  discard: "new",
  max_age: 0,
  max_msgs: -1,
  // With a longer history, the markers of keys that are gone would lengthen their time to live.
  max_msgs_per_subject: 1,
  deny_delete: true,
  allow_rollup_hdrs: true,
  allow_direct: true,
  allow_msg_ttl: true,
} as const;

/** The settings of a bucket's stream when it is made. */
export interface BucketStreamOptions {
  readonly bucket: string;
  readonly replicas: number;
  /** How long the marker of a key that is gone stays, in ms. */
  readonly markerTtl: number;
}

/** The stream that holds the bucket. */
export function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}

/**
 * Makes the stream of a bucket, or verifies the existing one; returns how long the marker of a
 * key that is gone stays there, in ms.
 *
 * @throws {StreamConfigError} The bucket would lose keys, or keep those that have expired.
 */
export async function openBucketStream(
  api: StreamApi<StreamNames>,
  { bucket, replicas, markerTtl }: BucketStreamOptions,
  timeout: number,
): Promise<number> {
  const subjects = [`$KV.${bucket}.>`];
  const { stream } = api.layout;
  return await opening(api, timeout, async () => {
    const wanted = {
      ...REQUIRED,
      name: stream,
      subjects,
      num_replicas: replicas,
      subject_delete_marker_ttl: markerTtl * 1e6,
    } as Partial<StreamConfig>;
    const config = await ensureStream(api, wanted, timeout);
    const problems = problemsOf(config, { subjects, required: REQUIRED, forbidden: FORBIDDEN });
    const { subject_delete_marker_ttl: nanos = 0 } = config;
    if (!nanos) {
      problems.push("subject_delete_marker_ttl is off, so watchers miss keys that expire");
    }
    if (problems.length > 0) throw new StreamConfigError(stream, problems);
    return nanos / 1e6;
  });
}
