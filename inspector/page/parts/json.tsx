/** A JSON value as a tree that folds; texts are shown as texts, whatever they hold. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { several } from "../words.ts";

/** Entries that a list shows at first, and with each click on "more". */
const ENTRIES = 100;
/** Characters of a text that are shown at first. */
const TEXT = 2_000;

/** The arguments of {@linkcode Json}. */
export interface JsonProps {
  readonly value: unknown;
  /** Paths that are marked, each as its JSON. */
  readonly marked?: ReadonlySet<string>;
  /** A name for those who do not see it. */
  readonly label: string;
}

/** Shows `value`. */
export function Json({ value, marked, label }: JsonProps): VNode {
  return (
    <div class="json" role="group" aria-label={label}>
      <Value value={value} path={[]} marked={marked} />
    </div>
  );
}

interface ValueProps {
  readonly name?: string | number | undefined;
  readonly value: unknown;
  readonly path: readonly (string | number)[];
  readonly marked: ReadonlySet<string> | undefined;
}

function Value({ name, value, path, marked }: ValueProps): VNode {
  const isMarked = marked?.has(JSON.stringify(path)) === true;
  if (typeof value !== "object" || value === null || Object.keys(value).length === 0) {
    return (
      <div class={isMarked ? "line marked" : "line"}>
        <Key name={name} />
        <Plain value={value} />
      </div>
    );
  }
  return <Container {...{ name, path, marked, isMarked }} value={value} />;
}

function Container(
  { name, value, path, marked, isMarked }: ValueProps & {
    readonly value: object;
    readonly isMarked: boolean;
  },
): VNode {
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  const [isOpen, setOpen] = useState(path.length < 4);
  const [shown, setShown] = useState(ENTRIES);
  const isList = Array.isArray(value);
  const sum = several(entries.length, isList ? "item" : "key");
  return (
    <div class={isMarked ? "branch marked" : "branch"}>
      {path.length > 0 && (
        <button
          type="button"
          class="fold"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <Key name={name} />
          <span class="sum">{isList ? `[${sum}]` : `{${sum}}`}</span>
        </button>
      )}
      {isOpen && (
        <div class={path.length > 0 ? "inner" : ""}>
          {entries.slice(0, shown).map(([key, entry]) => (
            <Value key={key} name={key} value={entry} path={[...path, key]} marked={marked} />
          ))}
          {entries.length > shown && (
            <button
              type="button"
              class="more"
              onClick={() => setShown(shown + 10 * ENTRIES)}
            >
              {several(entries.length - shown, "more entry", "more entries")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Key({ name }: { readonly name: string | number | undefined }): VNode | null {
  return name === undefined ? null : <span class="key">{`${name}: `}</span>;
}

/** A value without parts. */
export function Plain({ value }: { readonly value: unknown }): VNode {
  const [isWhole, setWhole] = useState(false);
  if (typeof value === "string") {
    const text = isWhole ? value : value.slice(0, TEXT);
    return (
      <span class="text">
        {JSON.stringify(text)}
        {text.length < value.length && (
          <button
            type="button"
            class="more"
            onClick={() => setWhole(true)}
          >
            {several(value.length - text.length, "more character")}
          </button>
        )}
      </span>
    );
  }
  if (typeof value === "object" && value !== null) {
    return <span class="sum">{Array.isArray(value) ? "[]" : "{}"}</span>;
  }
  return <span class={typeof value === "number" ? "number" : "word"}>{String(value)}</span>;
}

/** A value in one line. */
export function brief(value: unknown, length = 160): string {
  const text = value === undefined ? "none" : JSON.stringify(value);
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
