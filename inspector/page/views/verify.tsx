/** Checks the stored history against the rules of its format, and shows what it found. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { VerifyEvents } from "../answers.ts";
import { inWords } from "../api.ts";
import { useShared } from "../hooks.ts";
import { ActorLink, Badge, Empty, Fact, Heading, Panel, Trouble } from "../parts/say.tsx";
import type { ViewProps } from "../route.ts";
import { count, several } from "../words.ts";

type Progress = VerifyEvents["progress"];
type Report = VerifyEvents["report"];

interface Run {
  readonly isRunning: boolean;
  readonly progress?: Progress;
  readonly report?: Report;
  readonly problem?: string;
}

/** Shows the check. */
export function Verify(_: ViewProps): VNode {
  const { api } = useShared();
  const [run, setRun] = useState<Run>({ isRunning: false });
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const start = async (from?: number): Promise<void> => {
    const own = running.current = new AbortController();
    setRun({ isRunning: true });
    try {
      await api.stream("verify", from === undefined ? {} : { from }, (name, data) => {
        if (name === "progress") setRun({ isRunning: true, progress: data });
        if (name === "report") setRun({ isRunning: false, report: data });
      }, { signal: own.signal });
      setRun((last) => ({ ...last, isRunning: false }));
    } catch (error) {
      if (own.signal.aborted) return;
      setRun({ isRunning: false, problem: inWords(error) });
    }
  };
  const stop = (): void => {
    running.current?.abort();
    setRun((last) => ({ ...last, isRunning: false, problem: "It was stopped before its end" }));
  };
  const { isRunning, progress, report, problem } = run;
  return (
    <>
      <Heading title="Verify" note="reads the whole store and writes nothing">
        {isRunning
          ? <button type="button" onClick={stop}>Stop</button>
          : <button type="button" class="main" onClick={() => start()}>Verify the store</button>}
      </Heading>
      {problem && <Trouble text={problem} />}
      {isRunning && <Running progress={progress} />}
      {report && <Outcome report={report} goOn={() => start(report.next)} />}
      {!isRunning && !report && !problem && (
        <Empty title="Not verified yet">
          Each message, each actor's chain of versions, each commit, fence, snapshot and checkpoint
          is compared with the rules of the storage format. It takes some seconds for each 100,000
          events; writers go on meanwhile.
        </Empty>
      )}
    </>
  );
}

function Running({ progress }: { readonly progress: Progress | undefined }): VNode {
  const { position = 0, end = 0, events = 0, rate = 0, problemCount = 0 } = progress ?? {};
  const part = end === 0 ? 0 : position / end;
  return (
    <Panel title="Under way">
      <div class="progress" role="status">
        <progress max={1} value={part} aria-label="Verified so far" />
        <span>
          {several(events, "event")}, {Math.floor(100 * part)} %, {count(Math.round(rate))}{" "}
          in a second{problemCount > 0 && (
            <>
              , <b>{several(problemCount, "problem")}</b>
            </>
          )}
        </span>
      </div>
    </Panel>
  );
}

function Outcome(
  { report, goOn }: { readonly report: Report; readonly goOn: () => void },
): VNode {
  const { ok, events, messages, receipts, actors, snapshots, problems, problemCount, done } =
    report;
  return (
    <>
      <Panel
        title="Report"
        note={
          <Badge kind={ok ? "good" : "bad"}>
            {ok ? "no rule is broken" : several(problemCount, "problem")}
          </Badge>
        }
      >
        <dl class="facts flat">
          <Fact name="Events" value={count(events)} />
          <Fact name="Messages" value={count(messages)} />
          <Fact name="Actors" value={count(actors)} />
          <Fact name="Receipts" value={count(receipts)} />
          <Fact name="Snapshots" value={count(snapshots)} />
          <Fact name="Problems" value={count(problemCount)} />
        </dl>
        {!done && <p>It ended before the end of the store: go on for the rest.</p>}
        <div class="actions">
          <button type="button" onClick={goOn}>
            {done ? "Verify what came since" : "Go on"}
          </button>
        </div>
      </Panel>
      {problems.map(({ rule, sequence, streamSequence, actorId, message, advice }, index) => (
        <article key={index} class="panel problem">
          <header>
            <h2>{rule}</h2>
            <span class="note">
              position {count(sequence)}, message {count(streamSequence)}
            </span>
            {actorId !== undefined && <ActorLink actorId={actorId} />}
          </header>
          <p class="reason">{message}</p>
          <p>{advice}</p>
        </article>
      ))}
      {problemCount > problems.length && (
        <p class="note">{several(problemCount - problems.length, "more problem")}</p>
      )}
    </>
  );
}
