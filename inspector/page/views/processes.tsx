/** Processes that have not ended: what each waits for, since when, and what is stuck. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ProcessesView, ProcessView } from "../answers.ts";
import { inWords } from "../api.ts";
import { useAnswer, useNow, useShared } from "../hooks.ts";
import { ActorLink, Badge, Empty, Heading, Loading, Panel, Trouble } from "../parts/say.tsx";
import { href, type ViewProps } from "../route.ts";
import { distance, several } from "../words.ts";

/** Shows the processes. */
export function Processes({ route }: ViewProps): VNode {
  const { api, about, say } = useShared();
  const [isParked, setParked] = useState(route.params.get("parked") === "1");
  const query = {
    ...(route.id !== undefined && { name: route.id }),
    ...(isParked && { parked: true }),
  };
  const { data, problem, isLoading, again } = useAnswer<ProcessesView>("processes", query, {
    every: 500,
  });
  const [more, setMore] = useState<readonly ProcessesView[]>([]);
  useEffect(() => setMore([]), [route.id, isParked]);
  const last = more.at(-1) ?? data;
  const processes = [data, ...more].flatMap((page) => page?.processes ?? []);
  const load = async (): Promise<void> => {
    try {
      setMore([
        ...more,
        await api.post<ProcessesView>("processes", { ...query, after: last?.next }),
      ]);
    } catch (error) {
      say(inWords(error), "bad");
    }
  };
  const hasNone = data !== undefined && data.managers.length === 0;
  return (
    <>
      <Heading title="Processes" note={data && "those that have not ended"} />
      {problem && <Trouble text={problem} again={again} />}
      {!data && isLoading && <Loading />}
      {(hasNone || (!data && !about.views.processes)) && (
        <Empty title="No process managers to show">
          Pass them to the inspector: <code>{"inspector({ store, processes: [fulfilment] })"}</code>
        </Empty>
      )}
      {data && !hasNone && (
        <>
          <Managers data={data} name={route.id} again={again} />
          <label class="check">
            <input
              type="checkbox"
              checked={isParked}
              onChange={(event) => setParked(event.currentTarget.checked)}
            />{" "}
            only parked ones
          </label>
          {processes.length === 0 && (
            <Empty title={isParked ? "None is parked" : "None is under way"}>
              {isParked
                ? "No process waits for somebody to look after it."
                : "A process appears here when its first event comes, and leaves when it is done."}
            </Empty>
          )}
          <div class="cards">
            {processes.map((process) => (
              <Process
                key={process.actorId}
                process={process}
                actions={data.managers.find(({ name }) => name === process.name)?.actions ?? []}
                again={again}
              />
            ))}
          </div>
          {last?.next && (
            <button type="button" class="wide-button" onClick={load}>More processes</button>
          )}
        </>
      )}
    </>
  );
}

interface ManagersProps {
  readonly data: ProcessesView;
  readonly name: string | undefined;
  readonly again: () => void;
}

function Managers({ data, name, again }: ManagersProps): VNode {
  const { ask } = useShared();
  return (
    <div class="tools" role="group" aria-label="Process managers">
      <a
        class="chip"
        href={href("processes")}
        aria-current={name === undefined ? "true" : undefined}
      >
        All
      </a>
      {data.managers.map((manager) => (
        <span key={manager.name} class="chip-group">
          <a
            class="chip"
            href={href("processes", manager.name)}
            aria-current={manager.name === name ? "true" : undefined}
          >
            {manager.name}
          </a>
          {(["pause", "resume"] as const).filter((action) =>
            manager.name === name && manager.actions.includes(action)
          ).map((action) => (
            <button
              key={action}
              type="button"
              onClick={() =>
                ask({
                  title: `${action === "pause" ? "Pause" : "Resume"} ${manager.name}?`,
                  text: action === "pause"
                    ? "Its processes take in no events, replies and deadlines until it is resumed, " +
                      "over restarts too. What they have sent goes on."
                    : "Its processes go on from where each was.",
                  verb: action === "pause" ? "Pause" : "Resume",
                  request: { on: "process", name: manager.name, action },
                  then: again,
                })}
            >
              {action === "pause" ? "Pause" : "Resume"}
            </button>
          ))}
        </span>
      ))}
    </div>
  );
}

interface ProcessProps {
  readonly process: ProcessView;
  readonly actions: ProcessesView["managers"][number]["actions"];
  readonly again: () => void;
}

function Process({ process, actions, again }: ProcessProps): VNode {
  const { name, id, actorId, version, commands, effects, deadlines, parked } = process;
  const now = useNow();
  const waits = commands.length + effects.length + deadlines.length > 0;
  return (
    <Panel
      title={`${name} ${id}`}
      note={<ActorLink actorId={actorId}>history, version {version}</ActorLink>}
    >
      {parked && (
        <div class="parked">
          <p class="reason">{parked.reason}</p>
          <p class="note">
            parked {distance(parked.since, now)},{" "}
            <a href={href("why", parked.eventId, { position: parked.sequence })}>
              the event that failed
            </a>
          </p>
        </div>
      )}
      {!waits && !parked && <p class="note">It waits for the next event that is its.</p>}
      <ul class="waits">
        {commands.map((command) => (
          <li key={command.id}>
            <Badge kind="accent">command</Badge> to <ActorLink actorId={command.actorId} />
            <span class="note">sent {distance(command.since, now)}</span>
          </li>
        ))}
        {effects.map((effect) => (
          <li key={effect.id}>
            <Badge kind="accent">effect</Badge> {effect.name}
            <span class="note">
              {effect.started ? "under way" : "not begun"}, since {distance(effect.since, now)}
            </span>
          </li>
        ))}
        {deadlines.map((deadline) => (
          <li key={deadline.name}>
            <Badge kind={new Date(deadline.at).getTime() < now ? "warn" : "plain"}>deadline</Badge>
            {" "}
            {deadline.name}
            <span class="note">due {distance(deadline.at, now)}</span>
          </li>
        ))}
      </ul>
      <Actions {...{ process, actions, again }} />
    </Panel>
  );
}

function Actions({ process, actions, again }: ProcessProps): VNode | null {
  const { ask } = useShared();
  const { name, id, parked, commands } = process;
  const canRetry = parked !== undefined && actions.includes("retry");
  const canEnd = actions.includes("end");
  if (!canRetry && !canEnd) return null;
  return (
    <div class="actions">
      {canRetry && (
        <button
          type="button"
          class="main"
          onClick={() =>
            ask({
              title: `Try ${name} ${id} again?`,
              text:
                "The process takes in again what it failed at, then what came since, in order. " +
                "If it fails again, it stays parked.",
              verb: "Try again",
              request: { on: "process", name, action: "retry", id },
              then: again,
            })}
        >
          Try again
        </button>
      )}
      {canEnd && (
        <button
          type="button"
          onClick={() =>
            ask({
              title: `End ${name} ${id}?`,
              text: "The end is stored in its history, and it reacts to nothing any more: not to " +
                `events, replies and deadlines.${
                  commands.length > 0
                    ? ` ${
                      several(commands.length, "command")
                    } that it has sent may still be handled.`
                    : ""
                } It cannot be taken back.`,
              verb: "End it",
              isFinal: true,
              request: { on: "process", name, action: "end", id },
              then: again,
            })}
        >
          End…
        </button>
      )}
    </div>
  );
}
