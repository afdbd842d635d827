/** The frame around the views: where one can go, what to look for, what is asked and said. */
import type { FunctionComponent, VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { AboutView } from "./answers.ts";
import { Api, inWords } from "./api.ts";
import { type Question, type Shared, SharedContext, useKeys } from "./hooks.ts";
import { Confirm, Keys } from "./parts/dialogs.tsx";
import { Loading, Trouble } from "./parts/say.tsx";
import { go, href, useRoute, type ViewProps } from "./route.ts";
import { Actor } from "./views/actor.tsx";
import { Causation } from "./views/causation.tsx";
import { Cluster } from "./views/cluster.tsx";
import { Processes } from "./views/processes.tsx";
import { Projections } from "./views/projections.tsx";
import { Store } from "./views/store.tsx";
import { Tail } from "./views/tail.tsx";
import { Verify } from "./views/verify.tsx";

interface View {
  readonly name: string;
  readonly title: string;
  readonly show: FunctionComponent<ViewProps>;
}

const VIEWS: readonly View[] = [
  { name: "store", title: "Store", show: Store },
  { name: "tail", title: "Tail", show: Tail },
  { name: "projections", title: "Projections", show: Projections },
  { name: "processes", title: "Processes", show: Processes },
  { name: "cluster", title: "Cluster", show: Cluster },
  { name: "verify", title: "Verify", show: Verify },
  { name: "why", title: "Causation", show: Causation },
];

/** Views that something leads to. */
const INNER: readonly View[] = [{ name: "actor", title: "Actor", show: Actor }];

/** An id as events have it. */
const EVENT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** How long something said stays, in ms. */
const SAID = 6_000;

interface Said {
  readonly text: string;
  readonly kind: "good" | "bad";
}

/** The whole page. */
export function App(): VNode {
  const route = useRoute();
  const api = useMemo(() => new Api(), []);
  const [about, setAbout] = useState<AboutView>();
  const [problem, setProblem] = useState<string>();
  const [turn, setTurn] = useState(0);
  const [question, setQuestion] = useState<Question>();
  const [said, setSaid] = useState<Said>();
  const [hasKeys, setKeys] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const [main, nav] = [useRef<HTMLElement>(null), useRef<HTMLElement>(null)];
  useEffect(() => {
    setProblem(undefined);
    api.post<AboutView>("about", {}).then(setAbout, (error) => setProblem(inWords(error)));
  }, [turn]);
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => setSaid(undefined), SAID);
    return () => clearTimeout(timer);
  }, [said]);
  const view = [...VIEWS, ...INNER].find(({ name }) => name === route.view) ?? VIEWS[0]!;
  const place = `${view.title}${route.id === undefined ? "" : ` ${route.id}`}`;
  const isFirst = useRef(true);
  useLayoutEffect(() => { // at once: later it would take the focus from a user who types
    document.title = `${place} · Aether`;
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    if (!isFirst.current) main.current?.querySelector("h1")?.focus();
    isFirst.current = false;
  }, [place]);
  useKeys((key) => {
    const at = Number(key) - 1;
    if (VIEWS[at] !== undefined) go(href(VIEWS[at].name));
    else if (key === "/") search.current?.focus();
    else if (key === "?") setKeys(true);
    else return false;
    return true;
  });
  const shared = useMemo<Shared | undefined>(() =>
    about && {
      api,
      about,
      say: (text, kind = "good") => setSaid({ text, kind }),
      ask: (next) => {
        setSaid(undefined);
        setQuestion(next);
      },
    }, [about]);
  const Shown = view.show;
  return (
    <SharedContext.Provider value={shared}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault(); // the part behind # says where the page is
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <a class="name" href={href("store")}>
          <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
            <circle cx="10" cy="10" r="7.5" fill="none" stroke="currentColor" stroke-width="1.6" />
            <circle cx="10" cy="10" r="2.6" fill="currentColor" />
          </svg>
          Aether
        </a>
        {about?.namespace && <span class="namespace">{about.namespace}</span>}
        <Search field={search} />
        <button type="button" class="quiet" onClick={() => setKeys(true)} aria-label="Keys">
          ?
        </button>
      </header>
      <nav aria-label="Views" ref={nav}>
        {VIEWS.map(({ name, title }) => (
          <a key={name} href={href(name)} aria-current={name === view.name ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        {problem && <Trouble text={problem} again={() => setTurn(turn + 1)} />}
        {!problem && !about && <Loading />}
        {about && <Shown key={view.name} route={route} />}
      </main>
      <div class="said" role="status">
        {said && <p class={said.kind}>{said.text}</p>}
      </div>
      {question && (
        <Confirm
          api={api}
          question={question}
          onClose={() => setQuestion(undefined)}
          onDone={({ outcome, message }) => {
            setSaid({ text: message, kind: outcome === "again" ? "bad" : "good" });
            setQuestion(undefined);
            question.then?.();
          }}
        />
      )}
      {hasKeys && <Keys onClose={() => setKeys(false)} />}
    </SharedContext.Provider>
  );
}

function Search({ field }: { readonly field: { current: HTMLInputElement | null } }): VNode {
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const text = field.current!.value.trim();
        if (text === "") return;
        go(EVENT_ID.test(text) ? href("why", text) : href("store", undefined, { prefix: text }));
        field.current!.value = "";
        field.current!.blur();
      }}
    >
      <input
        ref={field}
        type="search"
        name="q"
        placeholder="Actor or event id"
        aria-label="Actor or event id"
        autocomplete="off"
        spellcheck={false}
      />
    </form>
  );
}
