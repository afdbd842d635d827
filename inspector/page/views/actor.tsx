/** An actor: its events in order, and its state at each of its versions. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { EventView } from "../answers.ts";
import { Changes, pathsOf } from "../actor/changes.tsx";
import { EventData, EventFacts } from "../actor/event_detail.tsx";
import { type States, useStates } from "../actor/states.ts";
import { indexAt, type Timeline, useTimeline } from "../actor/timeline.ts";
import { useKeys } from "../hooks.ts";
import { Json } from "../parts/json.tsx";
import { Badge, Empty, Heading, Loading, Panel, Trouble, When } from "../parts/say.tsx";
import { VirtualList } from "../parts/virtual_list.tsx";
import { href, type Route, type ViewProps } from "../route.ts";
import { count, moment, several } from "../words.ts";

/** Events above the wanted one, when a window begins in the middle of a long history. */
const ABOVE = 100;
/** How long a version stays chosen before the address names it, in ms. */
const SETTLED = 200;

/** Shows the actor that the route names. */
export function Actor({ route }: ViewProps): VNode {
  if (route.id === undefined || route.id === "") {
    return (
      <Empty title="No actor is named">
        Choose one in <a href={href("store")}>the store</a>, or type its id above.
      </Empty>
    );
  }
  return <History key={route.id} actorId={route.id} route={route} />;
}

function wantedVersion(text: string | null): number | undefined {
  const version = Number(text ?? undefined);
  return Number.isSafeInteger(version) && version > 0 ? version : undefined;
}

/**
 * The chosen version, `undefined` for the latest one; the address follows, but not each step of the
 * slider: browsers refuse that many.
 */
function useVersion(actorId: string, route: Route) {
  const [at, setAt] = useState(() => wantedVersion(route.params.get("at")));
  const own = useRef(route.hash);
  useEffect(() => {
    own.current = route.hash;
    setAt(wantedVersion(route.params.get("at")));
  }, [route]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (location.hash !== own.current) return; // the user is on the way to another place
      history.replaceState(null, "", href("actor", actorId, { at }));
      own.current = location.hash;
    }, SETTLED);
    return () => clearTimeout(timer);
  }, [actorId, at]);
  return [at, setAt] as const;
}

interface HistoryProps {
  readonly actorId: string;
  readonly route: Route;
}

function History({ actorId, route }: HistoryProps): VNode {
  const [at, setAt] = useVersion(actorId, route);
  const [top, setTop] = useState(at === undefined ? undefined : at + ABOVE);
  const timeline = useTimeline(actorId, top);
  const { actor, events, isLoading, hasOlder, hasNewer, problem } = timeline;
  const latest = actor?.version ?? 0;
  const version = Math.min(at ?? Infinity, latest);
  const isInside = events.length > 0 && (!hasNewer || version <= events[0]!.version) &&
    (!hasOlder || version >= events.at(-1)!.version);
  const selected = isInside ? indexAt(events, version) : -1;
  const event = events[selected];
  const states = useStates(
    actorId,
    event?.version ?? version,
    latest,
    actor?.hasStates === true,
  );
  useEffect(() => {
    if (isInside || isLoading || latest === 0) return;
    const timer = setTimeout(() => setTop(Math.min(latest, version + ABOVE)), SETTLED);
    return () => clearTimeout(timer);
  }, [isInside, isLoading, version, latest]);
  const choose = (index: number): void => {
    const next = events[index];
    if (next !== undefined) setAt(index === 0 && !hasNewer ? undefined : next.version);
  };
  const moveTo = (wanted: number): void => setAt(wanted >= latest ? undefined : wanted);
  useKeys((key) => {
    if (key === "ArrowLeft") choose(selected + 1);
    else if (key === "ArrowRight") choose(selected - 1);
    else return false;
    return true;
  });
  if (actor === undefined) {
    return (
      <div class="actor">
        <Heading title={actorId} />
        {problem ? <Trouble text={problem} /> : <Loading />}
      </div>
    );
  }
  if (latest === 0) {
    return (
      <div class="actor">
        <Heading title={actorId} />
        <Empty title="There is no such actor">
          Ids are told apart by case.{" "}
          <a href={href("store", undefined, { prefix: actorId.slice(0, 12) })}>
            Look for ids that begin so
          </a>.
        </Empty>
      </div>
    );
  }
  return (
    <div class="actor">
      <Heading
        title={actorId}
        note={
          <>
            <a href={href("store", undefined, { category: actor.category })}>{actor.category}</a>
            {`, version ${count(latest)}`}
            {actor.process && (
              <>
                , process <b>{actor.process.name}</b>
              </>
            )}
          </>
        }
      />
      {problem && <Trouble text={problem} />}
      <Slider version={event?.version ?? version} latest={latest} onMove={moveTo} event={event} />
      <div class="columns even">
        <Panel
          title="Events"
          note={isLoading ? `${count(events.length)} read…` : several(events.length, "event")}
        >
          {hasNewer && (
            <button type="button" class="wide-button" onClick={() => setTop(undefined)}>
              Newer events
            </button>
          )}
          <VirtualList
            label={`Events of ${actorId}, newest first`}
            length={events.length}
            rowHeight={34}
            selected={selected}
            onSelect={choose}
            row={(index) => <Row event={events[index]!} />}
          />
          {hasOlder && (
            <button
              type="button"
              class="wide-button"
              onClick={() => setTop(events.at(-1)!.version)}
            >
              Older events
            </button>
          )}
        </Panel>
        <div class="stack">
          {event && <Selected event={event} states={states} timeline={timeline} />}
        </div>
      </div>
    </div>
  );
}

function Row({ event }: { readonly event: EventView }): VNode {
  const { version, eventType, timestamp, commandId, error, stored } = event;
  return (
    <>
      <span class="version">{count(version)}</span>
      <span class="type">{eventType}</span>
      {error !== undefined && <Badge kind="bad">unreadable</Badge>}
      {stored !== undefined && stored.schema < stored.newest && (
        <Badge>schema {stored.schema}</Badge>
      )}
      {commandId !== undefined && <Badge>command</Badge>}
      <span class="time">{timestamp === undefined ? "–" : moment(timestamp)}</span>
    </>
  );
}

interface SliderProps {
  readonly version: number;
  readonly latest: number;
  readonly event: EventView | undefined;
  readonly onMove: (version: number) => void;
}

function Slider({ version, latest, event, onMove }: SliderProps): VNode {
  return (
    <div class="slider">
      <button
        type="button"
        aria-label="First version"
        disabled={version <= 1}
        onClick={() => onMove(1)}
      >
        ⇤
      </button>
      <input
        type="range"
        aria-label="Version"
        aria-valuetext={`version ${version}${event ? `, ${event.eventType}` : ""}`}
        min={1}
        max={latest}
        step={1}
        value={version}
        onInput={(input) => onMove(Number(input.currentTarget.value))}
      />
      <button
        type="button"
        aria-label="Latest version"
        disabled={version >= latest}
        onClick={() => onMove(latest)}
      >
        ⇥
      </button>
      <output>
        {count(version)} <span class="note">of {count(latest)}</span>
      </output>
    </div>
  );
}

interface SelectedProps {
  readonly event: EventView;
  readonly states: States;
  readonly timeline: Timeline;
}

function Selected({ event, states, timeline: { actor } }: SelectedProps): VNode {
  const { at, isLoading, problem } = states;
  const isThis = at?.version === event.version;
  const changes = isThis ? at.step?.changes ?? [] : [];
  return (
    <>
      <Panel
        title={event.eventType}
        note={
          <>
            version {count(event.version)}
            {event.timestamp && (
              <>
                , <When time={event.timestamp} />
              </>
            )}
          </>
        }
      >
        <EventData event={event} />
      </Panel>
      {actor?.hasStates
        ? (
          <Panel title="State" note={`after version ${count(at?.version ?? event.version)}`}>
            {problem && <Trouble text={problem} />}
            <div aria-busy={isLoading} class={isThis ? "" : "old"}>
              {at && changes.length > 0 && (
                <>
                  <h3>What this event changed</h3>
                  <Changes changes={changes} />
                </>
              )}
              {isThis && changes.length === 0 && !problem && (
                <p class="note">This event changed nothing in the state.</p>
              )}
              {at && <Json value={at.state} marked={pathsOf(changes)} label="State" />}
            </div>
          </Panel>
        )
        : (
          <Panel title="State">
            <Empty title="No decider is registered for this category">
              Pass it to the inspector, and each version's state appears here:{" "}
              <code>
                {`inspector({ deciders: { ${
                  JSON.stringify(actor?.category ?? "order")
                }: decider } })`}
              </code>
            </Empty>
          </Panel>
        )}
      <Panel title="Details">
        <EventFacts event={event} />
      </Panel>
    </>
  );
}
