/** Answers of the API that components keep fresh. */
import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { AboutView, ActionRequest, LiveEvents } from "./answers.ts";
import { type Api, inWords } from "./api.ts";

/** The tools of every part of the page. */
export interface Shared {
  readonly api: Api;
  readonly about: AboutView;
  /** Says something that has happened, for a while. */
  readonly say: (text: string, kind?: "good" | "bad") => void;
  /** Asks the user whether to do something, then does it. */
  readonly ask: (question: Question) => void;
}

/** An action that the user confirms. */
export interface Question {
  readonly title: string;
  /** A few sentences on what it does. */
  readonly text: string;
  /** The word on the button. */
  readonly verb: string;
  /** Whether it cannot be taken back. */
  readonly isFinal?: boolean;
  readonly request: ActionRequest;
  /** Called when it is done. */
  readonly then?: () => void;
}

/** Where {@linkcode useShared} finds what is shared. */
export const SharedContext = createContext<Shared | undefined>(undefined);

/** The tools of every part of the page. */
export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (shared === undefined) throw new Error("Cannot show this outside of the page");
  return shared;
}

/** An answer that is kept fresh. */
export interface Asked<T> {
  readonly data?: T;
  readonly problem?: string;
  readonly isLoading: boolean;
  /** Asks again at once. */
  readonly again: () => void;
}

/**
 * The answer of `route` to `body`; asked again `every` so many ms while the page is visible, and
 * seldom enough that asking takes at most a tenth of the time. No `body` asks nothing.
 */
export function useAnswer<T>(
  route: string,
  body: object | undefined,
  { every }: { readonly every?: number } = {},
): Asked<T> {
  const { api } = useShared();
  const [answer, setAnswer] = useState<Omit<Asked<T>, "again">>({ isLoading: true });
  const [turn, setTurn] = useState(0);
  const key = body && JSON.stringify(body);
  const shown = useRef("");
  useEffect(() => {
    if (key === undefined) return;
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const isOther = shown.current !== `${route} ${key}`;
    shown.current = `${route} ${key}`;
    setAnswer((last) => isOther ? { isLoading: true } : { ...last, isLoading: true });
    const ask = async (): Promise<void> => {
      const start = performance.now();
      try {
        if (!document.hidden || every === undefined) {
          const data = await api.post<T>(route, JSON.parse(key), { signal: leaving.signal });
          setAnswer({ data, isLoading: false });
        }
      } catch (error) {
        if (leaving.signal.aborted) return;
        setAnswer((last) => ({ ...last, problem: inWords(error), isLoading: false }));
      }
      if (every === undefined || leaving.signal.aborted) return;
      timer = setTimeout(ask, Math.max(every, 9 * (performance.now() - start)));
    };
    ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [route, key, turn, every]);
  return { ...answer, again: () => setTurn((last) => last + 1) };
}

/** A view that is sent anew whenever it changes. */
export interface Live<T> {
  readonly data?: T;
  readonly status: "connecting" | "live" | "lost";
  readonly problem?: string;
}

function detailOf(data: unknown): string {
  return (data as LiveEvents["trouble"]).detail;
}

/** The longest pause before a lost stream is opened again, in ms. */
const LONGEST_PAUSE = 8_000;

/** Follows one of the live views while the page is visible; opens a lost stream again. */
export function useLive<Name extends Exclude<keyof LiveEvents, "trouble">>(
  view: Name,
  onData?: (data: LiveEvents[Name]) => void,
): Live<LiveEvents[Name]> {
  const { api } = useShared();
  const [live, setLive] = useState<Live<LiveEvents[Name]>>({ status: "connecting" });
  const told = useRef(onData);
  told.current = onData;
  useEffect(() =>
    follow(async (signal, opened) => {
      await api.stream("live", { views: [view] }, (name, data: LiveEvents[Name]) => {
        if (name === "trouble") setLive((last) => ({ ...last, problem: detailOf(data) }));
        if (name !== view) return;
        opened();
        setLive({ status: "live", data });
        told.current?.(data);
      }, { signal });
    }, (problem) => setLive((last) => ({ ...last, status: "lost", problem }))), [view]);
  return live;
}

/**
 * Keeps a stream open while the page is visible: `open` gets a signal to end by, and a function to
 * call when something came. Gives what ends it.
 */
export function follow(
  open: (signal: AbortSignal, opened: () => void) => Promise<void>,
  onLost: (problem: string) => void,
): () => void {
  let [leaving, pause, timer]: [AbortController | undefined, number, number] = [undefined, 500, 0];
  const start = async (): Promise<void> => {
    clearTimeout(timer);
    if (document.hidden || leaving !== undefined) return;
    const own = leaving = new AbortController();
    let problem = "The stream ended";
    try {
      await open(own.signal, () => pause = 500);
    } catch (error) {
      problem = inWords(error);
    }
    if (leaving !== own) return;
    leaving = undefined;
    onLost(problem);
    timer = setTimeout(start, pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  };
  const stop = () => {
    const own = leaving;
    leaving = undefined;
    clearTimeout(timer);
    own?.abort();
  };
  const look = () => void (document.hidden ? stop() : start());
  document.addEventListener("visibilitychange", look);
  start();
  return () => {
    document.removeEventListener("visibilitychange", look);
    stop();
  };
}

/** The time now, anew each second: for what says how long ago something was. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Calls `act` for keys that are pressed outside of fields; a true result keeps the key from others. */
export function useKeys(act: (key: string, event: KeyboardEvent) => boolean | void): void {
  const told = useRef(act);
  told.current = act;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const { target } = event;
      if (target instanceof Element && target.closest("input,textarea,select,dialog")) return;
      if (told.current(event.key, event) === true) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
