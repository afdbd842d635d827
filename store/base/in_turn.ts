/**
 * Does all of `steps`, one after another, whichever of them fails; rejects in the end with the first
 * error. Later ones go to `report`.
 */
export async function inTurn(
  steps: readonly (() => unknown)[],
  report: (error: unknown) => void,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      if (failure === undefined) failure = { error };
      else report(error);
    }
  }
  if (failure !== undefined) throw failure.error;
}
