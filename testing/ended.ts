import { textOf } from "../store/base/text.ts";

/**
 * Runs `work`, then each of `ends` in order, whatever fails before.
 *
 * @throws What failed: the only failure as it is; of several an `AggregateError` with all, that of
 * `work` first, so that what a test found is not hidden by the disposal of what it used.
 */
export async function ended<T>(
  work: () => Promise<T>,
  ends: () => readonly (() => unknown)[],
): Promise<T> {
  const failures: unknown[] = [];
  const attempt = async <R>(part: () => R): Promise<Awaited<R> | undefined> => {
    try {
      return await part();
    } catch (error) {
      failures.push(error);
      return undefined;
    }
  };
  const result = await attempt(work);
  for (const end of ends()) await attempt(end);
  if (failures.length === 0) return result as T;
  if (failures.length === 1) throw failures[0];
  const [first, ...others] = failures.map((failure) => textOf(failure));
  throw new AggregateError(failures, `${first}; then the end failed: ${others.join("; ")}`);
}
