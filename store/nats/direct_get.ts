import { DirectMessage, headerIn, MessageText } from "./stored_message.ts";
import { ApiError, type StreamApi, type StreamNames } from "./stream_api.ts";

/** Bytes that one page may take, so that large events do not fill the memory. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** Messages in the order of the stream, as one replica has them. */
export interface Page {
  readonly messages: readonly DirectMessage[];
  /** How many more this replica has. */
  readonly pending: number;
  /** The stream's last sequence on this replica, if the request asks for it; else 0. */
  readonly upTo: number;
}

/** The first `batch` messages of `subject` at `sequence` or after, as the nearest replica has them. */
export function readPage(
  api: StreamApi,
  subject: string,
  sequence: number,
  batch: number,
  idle: number,
): Promise<Page> {
  const query = { seq: sequence, next_by_subj: subject, batch, max_bytes: PAGE_BYTES };
  return readDirect(api, query, idle);
}

/**
 * The last message of each of `subjects` whose last is at sequence `from` or after, and how far the
 * replica that answers has come.
 */
export function readLast(
  api: StreamApi<StreamNames>,
  subjects: readonly string[],
  idle: number,
  from?: number,
): Promise<Page> {
  return readDirect(api, { multi_last: subjects, seq: from }, idle);
}

/** Each part of the answer names the one before, so that a part lost on its way is noticed. */
async function readDirect(
  api: StreamApi<StreamNames>,
  query: unknown,
  idle: number,
): Promise<Page> {
  const messages: DirectMessage[] = [];
  let end = "";
  await api.requests.collect(api.direct, JSON.stringify(query), idle, (message) => {
    const text = new MessageText(message);
    const { headers, status: code } = text;
    if (code !== 0 && code !== 204 && code !== 404) {
      throw new ApiError({ code, description: message.headers?.description ?? "" });
    }
    const before = messages.at(-1)?.sequence ?? 0;
    if (code !== 404 && Number(headerIn(headers, "Nats-Last-Sequence")) !== before) {
      throw new ApiError({ code: 503, description: "a part of the answer was lost on its way" });
    }
    if (code === 0) messages.push(new DirectMessage(text));
    else end = headers;
    return code !== 0;
  });
  const number = (name: string) => Number(headerIn(end, name));
  return { messages, pending: number("Nats-Num-Pending"), upTo: number("Nats-UpTo-Sequence") };
}
