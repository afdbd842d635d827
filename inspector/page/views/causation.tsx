/** Why something happened: from an event up to its first cause, and down to all that it led to. */
import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { CausationView, CausedEvent } from "../answers.ts";
import { inWords } from "../api.ts";
import { Drawing, namesOf } from "../causation/drawing.tsx";
import {
  type Branch,
  causesOf,
  EFFECTS,
  openedAtFirst,
  rowsOf,
  treeOf,
} from "../causation/tree.ts";
import { useShared } from "../hooks.ts";
import { Json } from "../parts/json.tsx";
import { ActorLink, Badge, Empty, Heading, Panel, Trouble, When } from "../parts/say.tsx";
import { go, href, type ViewProps } from "../route.ts";
import { count, several } from "../words.ts";

interface Found {
  readonly view?: CausationView;
  readonly progress?: { readonly events: number; readonly position: number; readonly end?: number };
  readonly problem?: string;
}

/** Shows the tree around the event that the route names. */
export function Causation({ route }: ViewProps): VNode {
  const { id } = route;
  if (id === undefined || id === "") return <Which />;
  const position = Number(route.params.get("position") ?? undefined);
  return <Around key={id} eventId={id} position={position > 0 ? position : undefined} />;
}

function Which(): VNode {
  return (
    <>
      <Heading title="Causation" />
      <Empty title="Which event?">
        <form
          class="filters"
          onSubmit={(event) => {
            event.preventDefault();
            const id = String(new FormData(event.currentTarget).get("id")).trim();
            if (id !== "") go(href("why", id));
          }}
        >
          <input name="id" aria-label="Event id" placeholder="Event id" autocomplete="off" />
          <button type="submit" class="main">Show why</button>
        </form>
        <p>
          Or choose an event of an actor in{" "}
          <a href={href("store")}>the store</a>, or one that passes in{" "}
          <a href={href("tail")}>the tail</a>.
        </p>
      </Empty>
    </>
  );
}

interface AroundProps {
  readonly eventId: string;
  readonly position: number | undefined;
}

function Around({ eventId, position }: AroundProps): VNode {
  const { api } = useShared();
  const [{ view, progress, problem }, setFound] = useState<Found>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    const body = { eventId, ...(position !== undefined && { sequence: position }) };
    setFound({});
    api.stream("causation", body, (name, data) => {
      if (name === "progress") setFound({ progress: data });
      if (name === "causation") setFound({ view: data });
    }, { signal: leaving.signal }).catch((error) => {
      if (!leaving.signal.aborted) setFound({ problem: inWords(error) });
    });
    return () => leaving.abort();
  }, [eventId, position, turn]);
  return (
    <>
      <Heading
        title="Causation"
        note={view && several(view.nodes.length + view.omitted, "node")}
      />
      {problem && <Trouble text={problem} again={() => setTurn(turn + 1)} />}
      {!view && !problem && <Searching progress={progress} />}
      {view && <Shown view={view} />}
    </>
  );
}

function Searching({ progress }: { readonly progress: Found["progress"] }): VNode {
  const { events = 0, position = 0, end } = progress ?? {};
  return (
    <div class="progress" role="status">
      <progress
        max={1}
        value={end === undefined ? undefined : position / Math.max(1, end)}
        aria-label="Read so far"
      />
      <span>{progress ? `${count(events)} events are read` : "Reading the store…"}</span>
    </div>
  );
}

function Shown({ view }: { readonly view: CausationView }): VNode {
  const { eventId } = view;
  const tree = useMemo(() => treeOf(view), [view]);
  const [opened, setOpened] = useState(() => openedAtFirst(tree, eventId));
  const [selected, setSelected] = useState(eventId);
  const rows = useMemo(() => rowsOf(tree, opened, eventId), [tree, opened]);
  const branch = tree.byId.get(selected);
  const changed = (change: (opened: Map<string, number>) => void): void => {
    const next = new Map(opened);
    change(next);
    setOpened(next);
  };
  const openAll = (): void =>
    changed((next) => {
      for (const [id, { effects }] of tree.byId) if (effects.length > 0) next.set(id, Infinity);
    });
  return (
    <>
      <div class="tools">
        <button type="button" onClick={openAll}>Open all</button>
        <button
          type="button"
          onClick={() => {
            setOpened(openedAtFirst(tree, eventId));
            setSelected(eventId);
          }}
        >
          Back to the event
        </button>
        {view.omitted > 0 && (
          <span class="note">
            {several(view.omitted, "node")} too many for one drawing: begin at one of their causes
          </span>
        )}
      </div>
      <div class="columns drawn">
        <Drawing
          {...{ rows, opened, eventId, selected }}
          onSelect={setSelected}
          onToggle={({ node }) =>
            changed((next) => void (next.delete(node.id) || next.set(node.id, EFFECTS)))}
          onMore={({ node }) =>
            changed((next) => void next.set(node.id, (next.get(node.id) ?? 0) + 5 * EFFECTS))}
        />
        {branch && <Chosen branch={branch} onSelect={setSelected} />}
      </div>
    </>
  );
}

interface ChosenProps {
  readonly branch: Branch;
  readonly onSelect: (id: string) => void;
}

function Chosen({ branch, onSelect }: ChosenProps): VNode {
  const { node, effects, below } = branch;
  const [title] = namesOf(branch);
  const way = [...causesOf(branch)].reverse();
  return (
    <Panel title={node.kind === "event" ? node.eventType : title}>
      {node.kind === "event" ? <AboutEvent node={node} /> : (
        <p>
          Something outside of the store, such as a request or a command, is named as the cause. Its
          id is <code class="id">{node.id}</code>
        </p>
      )}
      <h3>The way to it</h3>
      {way.length === 0 ? <p class="note">Nothing is named as its cause.</p> : (
        <ol class="way">
          {way.map((above) => (
            <li key={above.node.id}>
              <button type="button" class="link" onClick={() => onSelect(above.node.id)}>
                {namesOf(above)[0]}
              </button>{" "}
              <span class="note">{namesOf(above)[1]}</span>
            </li>
          ))}
        </ol>
      )}
      <h3>What it led to</h3>
      <p class="note">
        {below === 0
          ? "Nothing names it as its cause."
          : `${several(effects.length + (node.omitted ?? 0), "effect")}, ${
            count(below)
          } with all that follows from them.`}
      </p>
    </Panel>
  );
}

function AboutEvent({ node }: { readonly node: CausedEvent }): VNode {
  const { id, actorId, version, timestamp, process, command, correlationId, sequence } = node;
  return (
    <>
      <dl class="pairs">
        <Pair name="Actor">
          <ActorLink actorId={actorId} version={version} /> at {count(version)}
        </Pair>
        <Pair name="Happened">
          <When time={timestamp} />
        </Pair>
        {process && <Pair name="Process">{process.name} {process.id}</Pair>}
        {command && (
          <Pair name="Command">
            to <ActorLink actorId={command.actorId} /> {command.refused !== undefined
              ? <Badge kind="bad">refused: {command.refused}</Badge>
              : (
                <Badge kind={command.settled ? "good" : "warn"}>
                  {command.settled ? "settled" : "waits"}
                </Badge>
              )}
          </Pair>
        )}
        <Pair name="Event id">{id}</Pair>
        {correlationId !== undefined && <Pair name="Correlation">{correlationId}</Pair>}
        <Pair name="Position">{count(sequence)}</Pair>
      </dl>
      {command && <Json value={command.command} label="Command" />}
      <div class="detail-links">
        <a class="button" href={href("actor", actorId, { at: version })}>Show it in its actor</a>
        <a class="button" href={href("why", id, { position: sequence })}>Begin here</a>
      </div>
    </>
  );
}

function Pair(
  { name, children }: {
    readonly name: string;
    readonly children: preact.ComponentChildren;
  },
): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="id">{children}</dd>
    </div>
  );
}
