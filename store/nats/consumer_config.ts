import type { ConsumerConfig } from "@nats-io/jetstream";
import { ApiError } from "./stream_api.ts";

/** Bytes that one pull may take, so that large events do not fill the memory. */
export const PULL_BYTES = 4 * 1024 * 1024;

/** Matches all messages of a stream. */
export const EVERYTHING = ">";

/**
 * The configuration of a consumer that reads `subject` (`">"` is all of the stream) behind the sequence `after`, for one reader
 * that acknowledges nothing. The server drops it when nobody has pulled for `kept` ms.
 */
export function consumerOf(
  name: string,
  subject: string,
  after: number,
  kept: number,
): Partial<ConsumerConfig> {
  return {
    name,
    deliver_policy: "by_start_sequence",
    opt_start_seq: after + 1,
    ack_policy: "none",
    ...(subject !== EVERYTHING && { filter_subjects: [subject] }),
    inactive_threshold: nanos(kept),
    mem_storage: true,
    num_replicas: 1,
  };
}

/** The error when a consumer's count skips a number. */
export function lost(): ApiError {
  return new ApiError({ code: 503, description: "a message was lost on its way" });
}

/** A time in ms as the server takes it, in ns. */
export function nanos(ms: number): number {
  return Math.round(ms * 1e6);
}
