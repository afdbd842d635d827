import { callHook, isThenable } from "../../store/base/hook.ts";
import { textOf } from "../../store/base/text.ts";

/**
 * A user's `load` that never throws: the load is left out where `load` fails or gives no number,
 * and `report` gets the reason.
 */
export function safeLoad(
  load: (() => unknown) | undefined,
  report: (error: unknown) => void,
): () => number | undefined {
  return () => {
    try {
      const value = load?.();
      if (value === undefined) return undefined;
      if (typeof value === "number" && Number.isFinite(value)) return value;
      if (isThenable(value)) callHook("load()", () => value);
      report(new TypeError(`Cannot tell the load of the node: load() gave ${textOf(value)}`));
    } catch (error) {
      report(error);
    }
    return undefined;
  };
}
