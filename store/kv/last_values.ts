import { isInstance } from "../base/text.ts";
import { type Page, partsOf, readLastPage } from "../nats/direct_get.ts";
import type { DirectMessage } from "../nats/stored_message.ts";
import { ApiError, type StreamApi, type StreamNames } from "../nats/stream_api.ts";

/** Subjects that one request asks for: the server gives no more than 1,024 at once. */
const PART = 1000;
/** The status of an answer that would be longer than that. */
const TOO_MANY = 413;

/** The last message of each subject that matches. */
export interface LastValues {
  readonly messages: readonly DirectMessage[];
  /** The sequence up to which it is complete; 0 if it proves nothing. */
  readonly upTo: number;
}

/**
 * The last message of each subject that matches `pattern`, as replicas have them: in one answer if
 * they fit, else in pages.
 */
export async function readLastValues(
  api: StreamApi<StreamNames>,
  pattern: string,
  requestTimeout: number,
): Promise<LastValues> {
  const page = await unlessTooMany(readLastPage(api, [pattern], requestTimeout));
  if (page !== undefined && page.pending === 0) return page;
  const { subjects, upTo } = await subjectsOf(api, pattern, requestTimeout);
  const pages: LastValues[] = [];
  for (const part of partsOf(api, subjects, PART)) {
    pages.push(await readSome(api, part, requestTimeout));
  }
  return joined(pages, upTo);
}

/** The last messages of `subjects`: of half of them at a time, if all are too large for an answer. */
async function readSome(
  api: StreamApi<StreamNames>,
  subjects: readonly string[],
  requestTimeout: number,
): Promise<LastValues> {
  const page = await readLastPage(api, subjects, requestTimeout);
  if (page.pending === 0 || subjects.length === 1) return page;
  const half = Math.ceil(subjects.length / 2);
  return joined([
    await readSome(api, subjects.slice(0, half), requestTimeout),
    await readSome(api, subjects.slice(half), requestTimeout),
  ], Infinity);
}

/** Pages as one: no more complete than the least of them. */
function joined(pages: readonly LastValues[], upTo: number): LastValues {
  return {
    messages: pages.flatMap(({ messages }) => messages),
    upTo: Math.min(upTo, ...pages.map((page) => page.upTo)),
  };
}

/** The subjects that match and have a message, as the leader has them, and up to where. */
async function subjectsOf(
  api: StreamApi<StreamNames>,
  pattern: string,
  requestTimeout: number,
): Promise<{ readonly subjects: readonly string[]; readonly upTo: number }> {
  const subjects = new Set<string>();
  let upTo = Infinity;
  let before = 0;
  for (let offset = 0;;) {
    const info = await api.info(requestTimeout, { subjects_filter: pattern, offset });
    const { state, total = 0 } = (info ?? {}) as Partial<NonNullable<typeof info>> & {
      total?: number;
    };
    const page = Object.keys(state?.subjects ?? {});
    upTo = Math.min(upTo, state?.last_seq ?? 0);
    if (total < before) {
      // Some are gone since, and others have taken their places in pages that were read.
      [offset, before] = [0, 0];
      continue;
    }
    before = total;
    for (const subject of page) subjects.add(subject);
    offset += page.length;
    if (page.length === 0 || offset >= total) return { subjects: [...subjects], upTo };
  }
}

/** The page; `undefined` if the server has too many messages for one answer. */
async function unlessTooMany(reading: Promise<Page>): Promise<Page | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isInstance(error, ApiError) && error.status === TOO_MANY) return undefined;
    throw error;
  }
}
