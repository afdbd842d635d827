import { DirectMessage, headerIn, MessageText } from "./stored_message.ts";
import { RequestError } from "./request_error.ts";
import { ApiError, type StreamApi, type StreamNames } from "./stream_api.ts";

/** How often a request is sent again at once if another stream has answered it. */
const TRIES = 5;
/**
 * The share of the time for an answer after which a request to one of several replicas is sent again:
 * the servers give each of them its part of the requests, also one that is frozen or cut off.
 */
const PATIENCE = [1 / 8, 1 / 4] as const;

/**
 * The error of an answer that is another stream's: a mirror answers direct requests in the place
 * of the stream that it copies, and may have a part of it only.
 */
export class OtherStreamError extends ApiError {
  /** `other` has answered a request to `stream`. */
  constructor(stream: string, other?: string) {
    const reason = other === undefined
      ? `an answer has not even the first message of "${stream}"; if the stream has a mirror`
      : `stream "${other}" has answered in the place of "${stream}"; if it is a mirror of that one`;
    super({ code: 503, description: `${reason}, turn "mirror_direct" off in the mirror` });
  }
}

/** Bytes that one page may take, so that large events do not fill the memory. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** The most bytes that the subjects of one request take. */
const QUERY_BYTES = 65_536;

/** Messages in the order of the stream, as one replica has them. */
export interface Page {
  readonly messages: readonly DirectMessage[];
  /** How many more this replica has. */
  readonly pending: number;
  /** The stream's last sequence on this replica, if the request asks for it; else 0. */
  readonly upTo: number;
}

/** An answer that proves to be the stream's. */
export interface ProvedPage extends Page {
  /** The stream's first message. */
  readonly genesis: DirectMessage | undefined;
}

/**
 * The first `batch` messages of `subject` at `sequence` or after, as the nearest replica has them. An
 * empty page proves nothing: a mirror may have given it.
 */
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
 * replica that answers has come: 0 if it has none of them, which proves nothing.
 */
export function readLast(
  api: StreamApi<StreamNames>,
  subjects: readonly string[],
  idle: number,
  from?: number,
): Promise<Page> {
  return readDirect(api, { multi_last: subjects, seq: from }, idle);
}

/** Like {@linkcode readLast}, with no more in the answer than fits into a page: `pending` is the rest. */
export function readLastPage(
  api: StreamApi<StreamNames>,
  subjects: readonly string[],
  idle: number,
): Promise<Page> {
  return readDirect(api, { multi_last: subjects, max_bytes: PAGE_BYTES }, idle);
}

/**
 * Like {@linkcode readLast}, by a replica that proves to be one of the stream of events: it has the
 * genesis, which is always there. Only with `from` the answer may be without it. Messages that are
 * too large together are `pending`, the latest ones; besides the genesis there is one at least.
 */
export async function readLastProved(
  api: StreamApi,
  subjects: readonly string[],
  idle: number,
  from?: number,
): Promise<ProvedPage> {
  const { genesis: anchor } = api.layout;
  const query = { multi_last: [...subjects, anchor], seq: from, max_bytes: PAGE_BYTES };
  const { messages, ...page } = await readDirect(api, query, idle, (from ?? 0) <= 1);
  const genesis = messages.find(({ subject }) => subject === anchor);
  return { ...page, genesis, messages: messages.filter((message) => message !== genesis) };
}

/**
 * The last message of each of `subjects`, however many they are and however large: each request is
 * answered like {@linkcode readLastProved}. `upTo` is what every replica that answered had reached.
 */
export async function readEachLast(
  api: StreamApi,
  subjects: Iterable<string>,
  idle: number,
): Promise<{ readonly messages: readonly DirectMessage[]; readonly upTo: number }> {
  const messages: DirectMessage[] = [];
  let upTo = Infinity;
  for (const part of partsOf(api, subjects)) {
    const left = new Set(part);
    for (let isMore = true; isMore && left.size > 0;) {
      const page = await readLastProved(api, [...left], idle);
      for (const message of page.messages) {
        if (left.delete(message.subject)) messages.push(message);
      }
      upTo = Math.min(upTo, page.upTo);
      isMore = page.pending > 0 && page.messages.length > 0;
    }
  }
  return { messages, upTo };
}

/** Divides subjects among requests that a server takes, with `most` in each. */
export function partsOf(
  { requests }: StreamApi<StreamNames>,
  subjects: Iterable<string>,
  most = Infinity,
): string[][] {
  const room = Math.min(QUERY_BYTES, (requests.maxPayload ?? Infinity) / 2);
  const parts: string[][] = [];
  let size = Infinity;
  for (const subject of subjects) {
    const bytes = JSON.stringify(subject).length + 1;
    if (size + bytes > room || parts.at(-1)!.length === most) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)!.push(subject);
    size += bytes;
  }
  return parts;
}

/**
 * Sends the request again at once if another stream has answered, and soon if a replica is silent:
 * next time another one may answer.
 */
async function readDirect(
  api: StreamApi<StreamNames>,
  query: unknown,
  idle: number,
  isProof = false,
): Promise<Page> {
  const patience = api.isReplicated ? PATIENCE.map((share) => share * idle) : [];
  for (let tries = 1;;) {
    const soon = patience.shift();
    try {
      const page = await readOnce(api, query, soon ?? idle);
      if (isProof && page.messages.length === 0) throw new OtherStreamError(api.layout.stream);
      return page;
    } catch (error) {
      if (soon !== undefined && error instanceof RequestError && error.failure === "timeout") {
        continue;
      }
      if (!(error instanceof OtherStreamError) || tries++ === TRIES) throw error;
    }
  }
}

/**
 * Each message of the answer names the stream that it is in, and each part names the one before, so
 * that a part lost on its way is noticed. The status of an answer without messages names no
 * stream: it proves nothing.
 */
async function readOnce(
  api: StreamApi<StreamNames>,
  query: unknown,
  idle: number,
): Promise<Page> {
  const { stream } = api.layout;
  const messages: DirectMessage[] = [];
  let end = "";
  await api.requests.collect(api.direct, JSON.stringify(query), idle, (message) => {
    const text = new MessageText(message);
    const { headers, status: code } = text;
    const origin = headerIn(headers, "Nats-Stream");
    if (code === 0 && origin !== stream) throw new OtherStreamError(stream, origin);
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
