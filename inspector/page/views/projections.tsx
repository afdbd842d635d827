/** Read models: who feeds them, how far they are, and what holds them up. */
import type { VNode } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { ProjectionsView, ProjectionView } from "../answers.ts";
import { useLive, useShared } from "../hooks.ts";
import { History } from "../parts/chart.tsx";
import { Badge, Empty, Heading, Loading, Trouble } from "../parts/say.tsx";
import { href, type ViewProps } from "../route.ts";
import { count, several } from "../words.ts";
import { Projection, State } from "./projection.tsx";

/** How far each projection was behind, over time: kept while its view is open. */
type Histories = Map<string, History>;

/** Shows all projections, and one of them in full. */
export function Projections({ route }: ViewProps): VNode {
  const { about } = useShared();
  const histories = useRef<Histories>(new Map());
  const [turn, setTurn] = useState(0);
  const live = useLive("projections", (view: ProjectionsView) => {
    for (const { name, lag } of view.projections) {
      const history = histories.current.get(name) ?? new History(["messages behind"]);
      history.add([lag], new Date(view.at).getTime() / 1_000);
      histories.current.set(name, history);
    }
    setTurn((last) => last + 1);
  });
  const list = live.data?.projections ?? [];
  const chosen = list.find(({ name }) => name === route.id) ?? list[0];
  const history = useMemo(
    () => chosen && histories.current.get(chosen.name),
    [chosen?.name, turn > 0],
  );
  return (
    <>
      <Heading title="Projections" note={live.data && several(list.length, "projection")}>
        {live.status === "lost" && <Badge kind="warn">Reconnecting</Badge>}
      </Heading>
      {live.problem && <Trouble text={live.problem} />}
      {!live.data && !live.problem && about.views.projections && <Loading />}
      {(live.data ? list.length === 0 : !about.views.projections) && (
        <Empty title="No projections to show">
          Pass them, or their checkpoint store, to the inspector:{" "}
          <code>{"inspector({ store, projections: [orders] })"}</code>
        </Empty>
      )}
      {chosen && (
        <div class="columns list">
          <List list={list} chosen={chosen.name} />
          <Projection key={chosen.name} projection={chosen} history={history} turn={turn} />
        </div>
      )}
    </>
  );
}

interface ListProps {
  readonly list: readonly ProjectionView[];
  readonly chosen: string;
}

function List({ list, chosen }: ListProps): VNode {
  return (
    <nav class="side-list" aria-label="Projections">
      {list.map((projection) => (
        <a
          key={projection.name}
          href={href("projections", projection.name)}
          aria-current={projection.name === chosen ? "true" : undefined}
        >
          <span class="side-name">{projection.name}</span>
          <State projection={projection} />
          <span class="note">
            {projection.lag === 0 ? "at the end" : `${count(projection.lag)} behind`}
            {projection.kind === "process" && ", of a process"}
          </span>
        </a>
      ))}
    </nav>
  );
}
