/** Events as they are saved: filtered, paused, and with a word on those that it left out. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { EventView, TailEvents, TailQuery } from "../answers.ts";
import { EventDetail } from "../actor/event_detail.tsx";
import { follow, useKeys, useShared } from "../hooks.ts";
import { brief } from "../parts/json.tsx";
import { ActorLink, Badge, Empty, Heading, Trouble } from "../parts/say.tsx";
import type { ViewProps } from "../route.ts";
import { clock, count, several } from "../words.ts";

/** Lines that are kept. */
const MOST = 500;

type Line =
  | { readonly key: number; readonly event: EventView }
  | {
    readonly key: number;
    readonly skipped: number;
    readonly reason: TailEvents["skipped"]["reason"];
  }
  | { readonly key: number; readonly resumed: string };

interface Followed {
  readonly lines: readonly Line[];
  readonly status: "connecting" | "live" | "lost";
  readonly problem?: string;
  readonly events: number;
  readonly skipped: number;
}

const NOTHING: Followed = { lines: [], status: "connecting", events: 0, skipped: 0 };

/** Follows the store's end; lines are added once in a frame. */
function useTail(query: TailQuery, isPaused: boolean): Followed {
  const { api } = useShared();
  const [followed, setFollowed] = useState<Followed>(NOTHING);
  const key = JSON.stringify(query);
  const wasPaused = useRef(false);
  useEffect(() => {
    if (isPaused) {
      wasPaused.current = true;
      return;
    }
    let [number, frame] = [Date.now() * 1_000, 0];
    let fresh: Line[] = [];
    const show = (): void => {
      frame = 0;
      const added = fresh;
      fresh = [];
      setFollowed((last) => ({
        status: "live",
        lines: [...added.reverse(), ...last.lines].slice(0, MOST),
        events: last.events + added.filter((line) => "event" in line).length,
        skipped: last.skipped +
          added.reduce((sum, line) => sum + ("skipped" in line ? line.skipped : 0), 0),
      }));
    };
    const add = (line: Line): void => {
      const last = fresh.at(-1);
      const isSame = last !== undefined && "skipped" in last && "skipped" in line &&
        last.reason === line.reason;
      if (isSame) fresh[fresh.length - 1] = { ...line, skipped: last.skipped + line.skipped };
      else fresh.push(line);
      frame ||= requestAnimationFrame(show);
    };
    if (wasPaused.current) add({ key: number++, resumed: new Date().toISOString() });
    wasPaused.current = false;
    const end = follow(
      (signal, opened) =>
        api.stream("tail", JSON.parse(key), (name, data) => {
          opened();
          if (name === "ready") setFollowed((last) => ({ ...last, status: "live" }));
          if (name === "event") add({ key: number++, event: data });
          if (name === "skipped") {
            const { count, reason } = data as TailEvents["skipped"];
            add({ key: number++, skipped: count, reason });
          }
        }, { signal }),
      (problem) => setFollowed((last) => ({ ...last, status: "lost", problem })),
    );
    return () => {
      cancelAnimationFrame(frame);
      end();
    };
  }, [key, isPaused]);
  return followed;
}

/** Shows the tail. */
export function Tail({ route }: ViewProps): VNode {
  const [query, setQuery] = useState<TailQuery>(() => {
    const category = route.params.get("category");
    return category ? { category } : {};
  });
  const [isPaused, setPaused] = useState(false);
  const { lines, status, problem, events, skipped } = useTail(query, isPaused);
  useKeys((key) => {
    if (key !== " ") return false;
    setPaused(!isPaused);
    return true;
  });
  return (
    <>
      <Heading
        title="Tail"
        note={`${several(events, "event")}${
          skipped > 0 ? `, ${count(skipped)} left out` : ""
        } since this was opened`}
      >
        {status === "lost" && <Badge kind="warn">Reconnecting</Badge>}
        {isPaused && <Badge kind="warn">Paused</Badge>}
        {!isPaused && status === "live" && <Badge kind="good">Live</Badge>}
        <button
          type="button"
          class={isPaused ? "main" : ""}
          aria-pressed={isPaused}
          onClick={() => setPaused(!isPaused)}
        >
          {isPaused ? "Go on" : "Pause"}
        </button>
      </Heading>
      {problem && status === "lost" && <Trouble text={problem} />}
      <Filters query={query} onChange={setQuery} />
      {lines.length === 0 && (
        <Empty title={isPaused ? "Nothing was shown before the pause" : "Nothing was saved yet"}>
          {Object.keys(query).length === 0
            ? "The next event that is saved appears here."
            : "The next event that matches the filter appears here."}
        </Empty>
      )}
      {lines.length > 0 && (
        <ol class="tail" aria-label="Events, newest first">
          {lines.map((line) =>
            "event" in line
              ? <Passed key={line.key} event={line.event} />
              : <LeftOut key={line.key} line={line} />
          )}
        </ol>
      )}
    </>
  );
}

function LeftOut({ line }: { readonly line: Exclude<Line, { event: EventView }> }): VNode {
  if ("resumed" in line) {
    return (
      <li class="left-out">
        Paused until {clock(line.resumed)}: what was saved meanwhile is not shown
      </li>
    );
  }
  const why = line.reason === "rate"
    ? "more in a second than wanted"
    : "this page could not follow";
  return (
    <li class="left-out">
      {several(line.skipped, "event")} left out: {why}
    </li>
  );
}

function Passed({ event }: { readonly event: EventView }): VNode {
  const [isOpen, setOpen] = useState(false);
  const { timestamp, eventType, actorId, version, data, error } = event;
  return (
    <li>
      <div class="tail-line">
        <button
          type="button"
          class="fold"
          aria-expanded={isOpen}
          aria-label={`${eventType} of ${actorId} at ${version}`}
          onClick={() => setOpen(!isOpen)}
        />
        <span class="time">{timestamp ? clock(timestamp) : "–"}</span>
        <span class="type">{eventType}</span>
        <ActorLink actorId={actorId} version={version}>
          {actorId} <span class="note">@ {count(version)}</span>
        </ActorLink>
        <span class="data">{error === undefined ? brief(data) : `unreadable: ${error}`}</span>
      </div>
      {isOpen && <EventDetail event={event} />}
    </li>
  );
}

interface FiltersProps {
  readonly query: TailQuery;
  readonly onChange: (query: TailQuery) => void;
}

function Filters({ query, onChange }: FiltersProps): VNode {
  const form = useRef<HTMLFormElement>(null);
  const read = (): void => {
    const fields = new FormData(form.current!);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const eventTypes = text("types").split(/[\s,]+/).filter(Boolean);
    const perSecond = Number(text("perSecond"));
    onChange({
      ...(text("category") && { category: text("category") }),
      ...(eventTypes.length > 0 && { eventTypes }),
      ...(text("text") && { text: text("text") }),
      ...(perSecond > 0 && { perSecond }),
    });
  };
  return (
    <form
      ref={form}
      class="filters"
      aria-label="Filter"
      onChange={read}
      onSubmit={(event) => {
        event.preventDefault();
        read();
      }}
    >
      <input
        name="category"
        placeholder="Category"
        aria-label="Category"
        autocomplete="off"
        defaultValue={query.category ?? ""}
      />
      <input name="types" placeholder="Types, by commas" aria-label="Event types" />
      <input name="text" type="search" placeholder="Text in it" aria-label="Text in the event" />
      <label>
        at most{" "}
        <select name="perSecond" aria-label="Events in a second">
          {[10, 50, 200, 1_000].map((most) => (
            <option key={most} value={most} selected={most === (query.perSecond ?? 50)}>
              {most}
            </option>
          ))}
        </select>{" "}
        in a second
      </label>
    </form>
  );
}
