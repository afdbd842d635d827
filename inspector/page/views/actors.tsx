/** Actors, looked up by category and by how their ids begin. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ActorsView } from "../answers.ts";
import { inWords } from "../api.ts";
import { useAnswer, useNow, useShared } from "../hooks.ts";
import { ActorLink, Empty, Loading, Panel, Trouble } from "../parts/say.tsx";
import { go, href } from "../route.ts";
import { count, distance, several } from "../words.ts";

/** Actors of a page. */
const PAGE = 50;

/** How long to wait for the next letter, in ms. */
const PAUSE = 150;

/** The search. */
export interface ActorsProps {
  readonly category: string;
  readonly prefix: string;
}

/** Shows actors, page by page. */
export function Actors({ category, prefix }: ActorsProps): VNode {
  const { api, say } = useShared();
  const now = useNow();
  const wanted = { limit: PAGE, ...(category && { category }), ...(prefix && { prefix }) };
  const { data, problem, isLoading, again } = useAnswer<ActorsView>("actors", wanted, {
    every: 500,
  });
  const [more, setMore] = useState<readonly ActorsView[]>([]);
  useEffect(() => setMore([]), [category, prefix]);
  const last = more.at(-1) ?? data;
  const actors = [data, ...more].flatMap((page) => page?.actors ?? []);
  const load = async (): Promise<void> => {
    try {
      const page = await api.post<ActorsView>("actors", { ...wanted, after: last?.next });
      setMore([...more, page]);
    } catch (error) {
      say(inWords(error), "bad");
    }
  };
  const note = data &&
    `${data.isComplete ? "" : "at least "}${several(data.total, "actor")}${
      category ? ` of ${category}` : ""
    }`;
  return (
    <Panel title="Actors" note={note}>
      <Prefix {...{ category, prefix }} />
      {problem && <Trouble text={problem} again={again} />}
      {!data && isLoading && <Loading />}
      {data && actors.length === 0 && (
        prefix === "" && category === ""
          ? (
            <Empty title="No actors yet">
              Save an event with <code>appendEvents()</code>, or begin with{" "}
              <code>deno task demo --nats</code>.
            </Empty>
          )
          : (
            <Empty title={`No actor's id begins with "${prefix}"`}>
              Ids are told apart by case. A shorter beginning, or{" "}
              <a href={href("store")}>all categories</a>, shows more.
            </Empty>
          )
      )}
      {actors.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Actor</th>
              <th class="right">Version</th>
              <th class="right">Last change</th>
            </tr>
          </thead>
          <tbody>
            {actors.map(({ actorId, version, at }) => (
              <tr key={actorId}>
                <td class="cut">
                  <ActorLink actorId={actorId} />
                </td>
                <td class="right">{count(version)}</td>
                <td class="right">{at === undefined ? "–" : distance(at, now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {last?.next && <button type="button" class="wide-button" onClick={load}>More actors</button>}
    </Panel>
  );
}

function Prefix({ category, prefix }: ActorsProps): VNode {
  const timer = useRef(0);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (document.activeElement !== field.current) field.current!.value = prefix;
  }, [prefix]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = (text: string): void => {
    clearTimeout(timer.current);
    const { hash } = location;
    timer.current = setTimeout(() => {
      if (location.hash !== hash) return; // the user is on the way to another place
      const params = { category: category || undefined, prefix: text || undefined };
      go(href("store", undefined, params), { replace: true });
    }, PAUSE);
  };
  return (
    <div class="filters">
      <input
        ref={field}
        type="search"
        placeholder="Id begins with…"
        aria-label="Actors whose id begins with"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => look(event.currentTarget.value)}
        onKeyDown={(event) => {
          const id = event.currentTarget.value.trim();
          if (event.key === "Enter" && id !== "") go(href("actor", id));
        }}
      />
      {category && (
        <a class="chip" href={href("store", undefined, { prefix: prefix || undefined })}>
          {category} <span aria-hidden="true">×</span>
          <span class="hidden">, show all categories</span>
        </a>
      )}
    </div>
  );
}
