/**
 * A fault put into the library on purpose, to see that a test notices it.
 *
 * @module
 */

/** One line of the library, broken. */
export interface Mutant {
  /** What is broken, in a few words. */
  readonly name: string;
  /** The file, from the project's folder. */
  readonly file: string;
  /** A text that occurs there exactly once. */
  readonly find: string;
  /** What stands in its place: still valid by its types, and wrong. */
  readonly replace: string;
  /** The test files that have to notice, the quickest first. */
  readonly tests: readonly string[];
  /** The only tests of them that run: a part of their names. @default {all} */
  readonly filter?: string;
  /** What would happen to a user. */
  readonly why: string;
  /** Why no test can notice it: then it may survive. */
  readonly explained?: string;
}

/**
 * The text of a file with the mutant in it.
 *
 * @throws {RangeError} Its place is not to be found, or there are several.
 */
export function mutated(text: string, { name, file, find, replace }: Mutant): string {
  const places = text.split(find).length - 1;
  if (places !== 1 || find === "") {
    throw new RangeError(
      `Cannot put the mutant "${name}" into ${file}: its text occurs there ${places} times, not ` +
        "once; the code has changed, so write the mutant again",
    );
  }
  // By a function, as a replacement may hold "$&".
  return text.replace(find, () => replace);
}
