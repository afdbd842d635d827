/** One projection: its partitions, its lag, its parked actors, and what can be done. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { PartitionView, ProjectionAction, ProjectionView } from "../answers.ts";
import { useNow, useShared } from "../hooks.ts";
import { Chart, type History } from "../parts/chart.tsx";
import { ActorLink, Badge, Empty, Fact, Panel, Trouble } from "../parts/say.tsx";
import { href } from "../route.ts";
import { count, distance, several } from "../words.ts";

/** The arguments of {@linkcode Projection}. */
export interface ProjectionProps {
  readonly projection: ProjectionView;
  readonly history: History | undefined;
  readonly turn: number;
}

/** Shows a projection. */
export function Projection({ projection, history, turn }: ProjectionProps): VNode {
  const { name, version, lag, metrics, failed, rebuild, error, partitions } = projection;
  const owners = new Set(partitions.flatMap(({ owner }) => owner ?? []));
  return (
    <div class="stack">
      <Panel title={name} note={<State projection={projection} />}>
        {error && version > 0 && <Trouble text={error} />}
        <dl class="facts flat">
          <Fact name="Version" value={count(version)} />
          <Fact name="Behind" value={count(lag)} note="messages at most" />
          <Fact name="Partitions" value={count(partitions.length)} />
          <Fact name="Processes" value={count(owners.size)} />
          {metrics && <Fact name="Handled here" value={count(metrics.handled)} />}
          {metrics && metrics.failed > 0 && (
            <Fact name="Failed here" value={count(metrics.failed)} />
          )}
        </dl>
        <Actions projection={projection} />
        {rebuild && (
          <div class="progress" role="status">
            <progress max={1} value={rebuild.progress} aria-label="Rebuild" />
            <span>
              Version {rebuild.version} is built: {Math.floor(100 * rebuild.progress)} %. Version
              {" "}
              {version} is read until then.
            </span>
          </div>
        )}
        {failed && (
          <Trouble text={`The rebuild of version ${failed.version} ended: ${failed.reason}`} />
        )}
      </Panel>
      {history && (
        <Panel title="Lag" note="messages of the stream, at most">
          <Chart label={`Lag of ${name}`} history={history} turn={turn} height={130} />
        </Panel>
      )}
      <Parked projection={projection} />
      <Partitions partitions={partitions} />
      <Skipped projection={projection} />
    </div>
  );
}

/** How a projection is, in a word. */
export function State({ projection }: { readonly projection: ProjectionView }): VNode {
  const { error, version, paused, parkedCount, rebuild, partitions } = projection;
  if (version === 0) return <Badge>has not run</Badge>;
  if (error !== undefined) return <Badge kind="bad">unreadable</Badge>;
  if (paused) return <Badge kind="warn">paused</Badge>;
  if (parkedCount > 0) return <Badge kind="bad">{count(parkedCount)} parked</Badge>;
  if (rebuild) return <Badge kind="accent">rebuilding</Badge>;
  if (partitions.every(({ owner }) => owner === undefined)) return <Badge>nobody runs it</Badge>;
  return <Badge kind="good">runs</Badge>;
}

interface One {
  readonly projection: ProjectionView;
}

function Actions({ projection: { name, actions, paused, isLocal, rebuild } }: One): VNode {
  const { ask, about } = useShared();
  const can = (action: ProjectionAction) => actions.includes(action);
  if (actions.length === 0) {
    return (
      <p class="note">
        {!about.actions
          ? "Actions are off: pass actions: true and a token to the inspector."
          : isLocal
          ? "Nothing can be asked of it here."
          : "It can be acted on where its process is: pass the Projection itself to the inspector."}
      </p>
    );
  }
  return (
    <div class="actions">
      {paused && can("resume") && (
        <button
          type="button"
          class="main"
          onClick={() =>
            ask({
              title: `Resume ${name}?`,
              text: "All processes that run it go on handling events from where each was.",
              verb: "Resume",
              request: { on: "projection", name, action: "resume" },
            })}
        >
          Resume
        </button>
      )}
      {!paused && can("pause") && (
        <button
          type="button"
          onClick={() =>
            ask({
              title: `Pause ${name}?`,
              text:
                "All processes that run it stop handling events after those under way, and stay " +
                "so over restarts, until it is resumed. Its read model grows old meanwhile.",
              verb: "Pause",
              request: { on: "projection", name, action: "pause" },
            })}
        >
          Pause
        </button>
      )}
      {can("rebuild") && (
        <button
          type="button"
          disabled={rebuild !== undefined}
          onClick={() =>
            ask({
              title: `Rebuild ${name}?`,
              text:
                "A new version is built from the first event on, beside the one that is read. " +
                "It takes that one's place when it has caught up. Every event is handled again.",
              verb: "Rebuild",
              request: { on: "projection", name, action: "rebuild" },
            })}
        >
          Rebuild
        </button>
      )}
      {can("skip") && <Skip name={name} />}
    </div>
  );
}

function Skip({ name }: { readonly name: string }): VNode {
  const { ask } = useShared();
  const [isOpen, setOpen] = useState(false);
  if (!isOpen) return <button type="button" onClick={() => setOpen(true)}>Skip a message…</button>;
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        const sequence = Number(new FormData(event.currentTarget).get("sequence"));
        ask({
          title: `Skip the message at ${sequence}?`,
          text:
            `${name} passes over the message at position ${sequence} for good, in all processes. ` +
            "This is for a message that belongs to no actor and halts the projection; its error " +
            "names the position. It cannot be taken back but by a rebuild.",
          verb: "Skip it",
          isFinal: true,
          request: { on: "projection", name, action: "skip", sequence },
          then: () => setOpen(false),
        });
      }}
    >
      <input
        name="sequence"
        type="number"
        min="1"
        required
        placeholder="Position"
        aria-label="Position of the message"
        ref={(field) => field?.focus()}
      />
      <button type="submit" class="final">Skip…</button>
      <button type="button" onClick={() => setOpen(false)}>Cancel</button>
    </form>
  );
}

function Parked({ projection: { name, parked, parkedCount, actions } }: One): VNode {
  const { ask } = useShared();
  const now = useNow();
  return (
    <Panel title="Parked actors" note={parkedCount > 0 ? several(parkedCount, "actor") : undefined}>
      {parked.length === 0 && <Empty title="None">Every event so far was handled.</Empty>}
      {parked.map((it) => (
        <article key={it.actorId} class="parked">
          <header>
            <ActorLink actorId={it.actorId} version={it.version > 0 ? it.version : undefined} />
            <span class="note">
              since {distance(it.since, now)}, {several(it.events, "event")} wait,{" "}
              {several(it.attempts, "try", "tries")}
            </span>
            {actions.includes("unpark") && (
              <button
                type="button"
                onClick={() =>
                  ask({
                    title: `Try ${it.actorId} again?`,
                    text:
                      `The events of ${it.actorId} that wait are handled again, in order, from ` +
                      "the one that failed. If it fails again, the actor stays parked.",
                    verb: "Try again",
                    request: { on: "projection", name, action: "unpark", actorId: it.actorId },
                  })}
              >
                Unpark
              </button>
            )}
          </header>
          <p class="reason">{it.reason}</p>
          <p class="note">
            {it.eventType !== "" && (
              <a href={href("actor", it.actorId, { at: it.version || undefined })}>
                {it.eventType} at version {count(it.version)}
              </a>
            )}
            {it.eventId !== "" && (
              <>
                , <a href={href("why", it.eventId, { position: it.sequence })}>its causes</a>
              </>
            )}
          </p>
        </article>
      ))}
      {parkedCount > parked.length && (
        <p class="note">{several(parkedCount - parked.length, "more actor")}</p>
      )}
    </Panel>
  );
}

function Partitions({ partitions }: { readonly partitions: readonly PartitionView[] }): VNode {
  const most = Math.max(1, ...partitions.map(({ lag }) => lag));
  return (
    <Panel title="Partitions">
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th class="right">No.</th>
              <th>Run by</th>
              <th class="right">Position</th>
              <th class="right">Behind</th>
              <th class="right">Parked</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {partitions.map(({ partition, owner, position, lag, parkedCount, caughtUp }) => (
              <tr key={partition}>
                <td class="right">{partition}</td>
                <td class="id cut">{owner ?? <span class="note">nobody</span>}</td>
                <td class="right">{count(position)}</td>
                <td class="right bar">
                  <i style={{ width: `${(100 * lag) / most}%` }} />
                  <span>{count(lag)}</span>
                </td>
                <td class="right">{parkedCount === 0 ? "–" : count(parkedCount)}</td>
                <td>
                  <Badge kind={caughtUp ? "good" : "warn"}>
                    {caughtUp ? "live" : "catching up"}
                  </Badge>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Skipped({ projection: { skipped } }: One): VNode | null {
  const now = useNow();
  if (skipped.length === 0) return null;
  return (
    <Panel title="Skipped messages" note="passed over for good">
      <ul class="plain">
        {skipped.map(({ sequence, since }) => (
          <li key={sequence}>
            position {count(sequence)} <span class="note">{distance(since, now)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
