/** The changes of an event, one difference in a line. */
import type { VNode } from "preact";
import type { Change } from "../answers.ts";
import { brief } from "../parts/json.tsx";
import { several } from "../words.ts";

/** Changes that are shown. */
const MOST = 50;

/** The arguments of {@linkcode Changes}. */
export interface ChangesProps {
  readonly changes: readonly Change[];
}

/** Shows the value before and after at each path. */
export function Changes({ changes }: ChangesProps): VNode {
  return (
    <ul class="changes">
      {changes.slice(0, MOST).map((change) => (
        <li key={JSON.stringify(change.path)}>
          <code class="path">{pathText(change.path)}</code>
          {"before" in change && <del title="before">{brief(change.before)}</del>}
          {"after" in change
            ? <ins title="after">{brief(change.after)}</ins>
            : <span class="note">is gone</span>}
        </li>
      ))}
      {changes.length > MOST && (
        <li class="note">{several(changes.length - MOST, "more change")}</li>
      )}
    </ul>
  );
}

/** The paths of changes, for marks in a tree. */
export function pathsOf(changes: readonly Change[]): Set<string> {
  return new Set(changes.map(({ path }) => JSON.stringify(path)));
}

function pathText(path: readonly (string | number)[]): string {
  if (path.length === 0) return "(all)";
  return path.map((part) => typeof part === "number" ? `[${part}]` : `.${part}`).join("")
    .replace(/^\./, "");
}
