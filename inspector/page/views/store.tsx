/** The store as a whole: how much there is, how it moves, who keeps it. */
import type { VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { RatesView, ReplicaView, StoreView } from "../answers.ts";
import { useLive, useNow } from "../hooks.ts";
import { Chart, History } from "../parts/chart.tsx";
import { ActorLink, Badge, Empty, Fact, Heading, Loading, Panel, Trouble } from "../parts/say.tsx";
import { go, href, type ViewProps } from "../route.ts";
import { count, distance, several, size, span } from "../words.ts";
import { Actors } from "./actors.tsx";

/** Shows the store. */
export function Store({ route }: ViewProps): VNode {
  const live = useLive("store");
  const { data } = live;
  const [category, prefix] = [route.params.get("category"), route.params.get("prefix")];
  return (
    <>
      <Heading
        title="Store"
        note={data && <Kind store={data} />}
      >
        {live.status === "lost" && <Badge kind="warn">Reconnecting</Badge>}
      </Heading>
      {live.problem && <Trouble text={live.problem} />}
      {!data && !live.problem && <Loading />}
      {data && <Facts store={data} />}
      <div class="columns">
        <Actors category={category ?? ""} prefix={prefix ?? ""} />
        <div class="stack">
          {data && <Rates rates={data.rates} at={data.at} />}
          {data && <Categories store={data} selected={category ?? ""} />}
          {data?.server && <Replicas replicas={data.server.replicas} store={data} />}
        </div>
      </div>
    </>
  );
}

function Kind({ store: { kind, stream, server } }: { readonly store: StoreView }): VNode {
  const what = kind === "jetstream" ? "NATS JetStream" : kind === "memory" ? "In memory" : "Store";
  const version = server?.version === undefined ? "" : `, nats-server ${server.version}`;
  return (
    <>
      {what}
      {version}
      {stream && (
        <>
          , stream <code>{stream}</code>
        </>
      )}
    </>
  );
}

function Facts({ store }: { readonly store: StoreView }): VNode {
  const { categories, server, end, metrics } = store;
  const now = useNow();
  const isCounting = categories.state === "counting";
  return (
    <dl class="facts">
      <Fact
        name="Actors"
        value={isCounting && categories.actors === 0 ? "…" : count(categories.actors)}
        note={isCounting ? "counting" : several(
          categories.list.length + categories.omitted,
          "category",
          "categories",
        )}
      />
      {server && <Fact name="Messages" value={count(server.messages)} note="of the stream" />}
      {server && <Fact name="Size" value={size(server.bytes)} />}
      {server?.lastAt && (
        <Fact name="Last change" value={distance(server.lastAt, Math.max(now, Date.now()))} />
      )}
      <Fact name="Last position" value={count(end)} />
      {server && <Fact name="Shards" value={count(server.shards)} />}
      {server && <Fact name="Consumers" value={count(server.consumers)} />}
      {metrics && (
        <Fact
          name="Save here"
          value={metrics.saveLatency.count === 0
            ? "–"
            : `${(metrics.saveLatency.total / metrics.saveLatency.count).toFixed(1)} ms`}
          note={several(metrics.saves.saved, "save")}
        />
      )}
    </dl>
  );
}

const RATES = ["messages", "saves", "conflicts", "reads"] as const;

function Rates(
  { rates, at }: { readonly rates: RatesView | undefined; readonly at: string },
): VNode {
  const history = useMemo(() => new History([...RATES]), []);
  const [turn, setTurn] = useState(0);
  const latest = useRef(rates);
  latest.current = rates;
  useEffect(() => {
    const add = () => {
      const now = latest.current;
      history.add(RATES.map((name) => now?.[name] ?? 0));
      setTurn((last) => last + 1);
    };
    add();
    const timer = setInterval(add, 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <Panel title="In a second" note={<>messages of all writers; the others of this process</>}>
      <Chart label="In a second" history={history} turn={turn} />
      <span hidden>{at}</span>
    </Panel>
  );
}

function Categories(
  { store: { categories }, selected }: {
    readonly store: StoreView;
    readonly selected: string;
  },
): VNode {
  const now = useNow();
  const { list, state, reason, omitted } = categories;
  const most = Math.max(1, ...list.map(({ actors }) => actors));
  return (
    <Panel title="Categories" note={state === "counting" ? "counting…" : undefined}>
      {state === "failed" && <Trouble text={reason ?? "The actors could not be counted"} />}
      {list.length === 0 && state === "ready" && (
        <Empty title="No events yet">
          Save one with <code>appendEvents()</code>: its actor appears here.
        </Empty>
      )}
      {list.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Category</th>
                <th class="right">Actors</th>
                <th class="right">Messages</th>
                <th>Last change</th>
                <th>of</th>
              </tr>
            </thead>
            <tbody>
              {list.map(({ category, actors, messages, last }) => (
                <tr key={category} class={category === selected ? "selected" : ""}>
                  <td>
                    <button
                      type="button"
                      class="link id"
                      aria-pressed={category === selected}
                      onClick={() =>
                        go(href("store", undefined, {
                          category: category === selected ? undefined : category,
                        }))}
                    >
                      {category}
                    </button>
                  </td>
                  <td class="right bar">
                    <i style={{ width: `${(100 * actors) / most}%` }} />
                    <span>{count(actors)}</span>
                  </td>
                  <td class="right">{messages === undefined ? "–" : count(messages)}</td>
                  <td>{last && distance(last.at, now)}</td>
                  <td class="cut">{last && <ActorLink actorId={last.actorId} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {omitted > 0 && <p class="note">{several(omitted, "more category", "more categories")}</p>}
    </Panel>
  );
}

function Replicas(
  { replicas, store }: { readonly replicas: readonly ReplicaView[]; readonly store: StoreView },
): VNode {
  return (
    <Panel
      title="Servers"
      note={replicas.length < 2
        ? "one server keeps the stream: its loss is the stream's"
        : several(replicas.length, "replica")}
    >
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Server</th>
              <th>Role</th>
              <th>State</th>
              <th class="right">Behind</th>
              <th class="right">Heard</th>
            </tr>
          </thead>
          <tbody>
            {replicas.map(({ name, role, current, offline, lag, silent }, index) => (
              <tr key={name ?? index}>
                <td class="id">{name ?? store.stream ?? "server"}</td>
                <td>{role}</td>
                <td>
                  {offline
                    ? <Badge kind="bad">offline</Badge>
                    : (
                      <Badge kind={current ? "good" : "warn"}>
                        {current ? "current" : "behind"}
                      </Badge>
                    )}
                </td>
                <td class="right">{role === "leader" ? "–" : count(lag)}</td>
                <td class="right">{silent === undefined ? "–" : `${span(silent)} ago`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
