import type { StreamInfo } from "@nats-io/jetstream";

/** A part of the server's list of subjects. */
export type SubjectPage = Pick<StreamInfo, "state"> & {
  /** How many subjects there are. */
  readonly total?: number;
};

/**
 * Yields the subjects of a stream with the numbers of their messages, each subject once, as the
 * server lists them: sorted, 100,000 at most in an answer.
 *
 * @param ask Asks the server for the list from `offset` on.
 */
export async function* listSubjects(
  ask: (offset: number) => Promise<SubjectPage | undefined>,
): AsyncGenerator<[subject: string, messages: number], void> {
  let last = "";
  for (let offset = 0;;) {
    const { state, total = 0 } = await ask(offset) ?? {};
    const page = Object.entries(state?.subjects ?? {});
    for (const [subject, messages] of page) {
      // One that is new since the last answer has moved those behind it into this one.
      if (subject <= last) continue;
      yield [subject, messages];
      last = subject;
    }
    offset += page.length;
    if (page.length === 0 || offset >= total) return;
  }
}
