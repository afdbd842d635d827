import { needFunction, needObject } from "../store/base/given.ts";

/**
 * Refuses options that no suite can run with.
 *
 * @throws {TypeError} One is missing, or of another kind.
 */
export function checkSuite(
  suite: { readonly test: unknown; readonly create: unknown; readonly capabilities: unknown },
): void {
  const what = "register the tests";
  needObject(suite, what, "suite", "an object with test, create and capabilities");
  needFunction(suite.test, what, "test");
  needFunction(suite.create, what, "create");
  needObject(suite.capabilities, what, "capabilities");
}
