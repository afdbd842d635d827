/** Questions to the user: whether to do something, and the token that allows it. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ActionView } from "../answers.ts";
import { type Api, inWords, Problem } from "../api.ts";
import type { Question } from "../hooks.ts";

/** A question, what asks the API, and what follows. */
export interface ConfirmProps {
  readonly api: Api;
  readonly question: Question;
  readonly onDone: (answer: ActionView) => void;
  readonly onClose: () => void;
}

/** Says what an action does, asks for the token if there is none yet, and does it. */
export function Confirm({ api, question, onDone, onClose }: ConfirmProps): VNode {
  const [token, setToken] = useState(api.token ?? "");
  const [asksToken, setAsksToken] = useState(api.token === undefined);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const act = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    api.token = token.trim() === "" ? undefined : token.trim();
    try {
      onDone(await api.post<ActionView>("act", question.request));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        api.token = undefined;
        setAsksToken(true);
      }
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={question.title} onClose={onClose}>
      <form onSubmit={act}>
        <p>{question.text}</p>
        {asksToken && (
          <label class="field">
            Token
            <input
              type="password"
              autocomplete="off"
              value={token}
              required
              onInput={(event) => setToken(event.currentTarget.value)}
            />
            <small>
              The one that was given to inspector(). It is kept until this page is left.
            </small>
          </label>
        )}
        {problem && <p class="trouble" role="alert">{problem}</p>}
        <div class="dialog-buttons">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class={question.isFinal ? "final" : "main"} disabled={isBusy}>
            {question.verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** The arguments of {@linkcode Dialog}. */
export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: VNode | VNode[];
}

/** A window in front of the page, closed by Escape. */
export function Dialog({ title, onClose, children }: DialogProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current!.showModal();
    return () => before instanceof HTMLElement && before.focus();
  }, []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose}>
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ["1 … 7", "Go to a view"],
  ["/", "Look for an actor or an event"],
  ["← →", "One version back or on, at an actor"],
  ["↑ ↓ Home End", "Move in a list or a tree"],
  ["Space", "Pause the tail, or go on"],
  ["?", "Show this"],
];

/** The keys that do something. */
export function Keys({ onClose }: { readonly onClose: () => void }): VNode {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-buttons">
        <button type="button" class="main" onClick={onClose}>Close</button>
      </div>
    </Dialog>
  );
}
