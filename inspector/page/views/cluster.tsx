/** The cluster: who is in it, who leads, who owns which shards, and what moves. */
import type { VNode } from "preact";
import type { ClusterStateView } from "../answers.ts";
import { useLive, useNow, useShared } from "../hooks.ts";
import { Badge, Empty, Fact, Heading, Loading, Panel, Trouble, When } from "../parts/say.tsx";
import type { ViewProps } from "../route.ts";
import { clock, count, distance, several } from "../words.ts";
import { colourOf, ShardMap } from "./shard_map.tsx";

/** Shows the cluster. */
export function Cluster(_: ViewProps): VNode {
  const { about } = useShared();
  const live = useLive("cluster");
  const { data } = live;
  const hasNone = data ? data.source === "none" : !about.views.cluster;
  return (
    <>
      <Heading title="Cluster" note={data?.namespace}>
        {live.status === "lost" && <Badge kind="warn">Reconnecting</Badge>}
      </Heading>
      {live.problem && <Trouble text={live.problem} />}
      {!data && !live.problem && !hasNone && <Loading />}
      {hasNone && (
        <Empty title="No cluster to show">
          Processes that <code>Cluster.join()</code> by the store's namespace appear here. Pass one
          {" "}
          to the inspector: <code>{"inspector({ store, cluster })"}</code>
        </Empty>
      )}
      {data && !hasNone && <Shown cluster={data} />}
    </>
  );
}

interface Shown {
  readonly cluster: ClusterStateView;
}

function Shown({ cluster }: Shown): VNode {
  const { members, leader, map, handoffs, version, coordinator, phases } = cluster;
  return (
    <>
      <dl class="facts">
        <Fact name="Members" value={count(members.length)} note={`view ${count(version)}`} />
        <Fact
          name="Leader"
          value={leader ? <span class="id">{leader.nodeId}</span> : <Badge kind="bad">none</Badge>}
          note={leader && `term ${count(leader.term)}`}
        />
        {coordinator && coordinator !== leader?.nodeId && (
          <Fact name="Coordinator" value={<span class="id">{coordinator}</span>} />
        )}
        <Fact name="Shards" value={count(map.shards.length)} note={`map ${count(map.version)}`} />
        <Fact name="Without owner" value={count(map.free)} />
        <Fact name="Hand-offs" value={count(handoffs.length)} note="under way" />
        {Object.entries(phases ?? {}).map(([phase, shards]) => (
          <Fact key={phase} name={`Here ${phase}`} value={count(shards)} />
        ))}
      </dl>
      <div class="columns">
        <div class="stack">
          <Panel title="Shards" note="coloured by owner; framed while they move">
            <ShardMap cluster={cluster} />
          </Panel>
          {handoffs.length > 0 && <Handoffs cluster={cluster} />}
        </div>
        <div class="stack">
          <Members cluster={cluster} />
          <Changes cluster={cluster} />
        </div>
      </div>
    </>
  );
}

function Members({ cluster: { members, leader, self, map } }: Shown): VNode {
  const most = Math.max(1, ...members.map(({ shards }) => shards));
  return (
    <Panel title="Members">
      {members.length === 0 && (
        <Empty title="No members">Nobody has joined, or all have left.</Empty>
      )}
      {members.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Node</th>
                <th>State</th>
                <th class="right">Shards</th>
                <th class="right">Capacity</th>
              </tr>
            </thead>
            <tbody>
              {members.map(({ nodeId, incarnation, status, shards, capacity, metadata }) => (
                <tr key={incarnation}>
                  <td class="cut" title={`${nodeId}, incarnation ${incarnation}`}>
                    <i class={`swatch ${colourOf(map.owners.indexOf(nodeId))}`} />
                    <span class="id">{nodeId}</span>{" "}
                    {nodeId === leader?.nodeId && <Badge kind="accent">leader</Badge>}
                    {nodeId === self && <Badge>this process</Badge>}
                    {Object.entries(metadata).map(([key, value]) => (
                      <small key={key} class="note">{key} {value}</small>
                    ))}
                  </td>
                  <td>
                    <Badge kind={status === "up" ? "good" : "warn"}>{status}</Badge>
                  </td>
                  <td class="right bar">
                    <i style={{ width: `${(100 * shards) / most}%` }} />
                    <span>{count(shards)}</span>
                  </td>
                  <td class="right">{capacity}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Handoffs({ cluster: { handoffs } }: Shown): VNode {
  return (
    <Panel title="Hand-offs under way" note={several(handoffs.length, "shard")}>
      <ul class="plain tall">
        {handoffs.slice(0, 50).map(({ shard, from, to }) => (
          <li key={shard}>
            shard {shard}: <span class="id">{from ?? "nobody"}</span> →{" "}
            <span class="id">{to ?? "nobody"}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

type Change = ClusterStateView["changes"][number];

function Changes({ cluster: { changes, departed } }: Shown): VNode {
  const now = useNow();
  return (
    <Panel title="What happened" note="while somebody looked">
      {changes.length === 0 && departed.length === 0 && (
        <Empty title="Nothing yet">Joins, failures, elections and moved shards appear here.</Empty>
      )}
      <ul class="plain tall">
        {[...changes].reverse().map((change, index) => (
          <li key={changes.length - index}>
            <When time={change.at}>{clock(change.at)}</When> {sentence(change)}{" "}
            <span class="note">{distance(change.at, now)}</span>
          </li>
        ))}
      </ul>
      {departed.length > 0 && (
        <>
          <h3>Left lately</h3>
          <ul class="plain">
            {[...departed].reverse().map(({ nodeId, incarnation, how }) => (
              <li key={incarnation}>
                <span class="id">{nodeId}</span>{" "}
                <Badge kind={how === "left" ? "plain" : "bad"}>{how}</Badge>
              </li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}

function sentence({ what, nodeId, how, shards, term }: Change): VNode {
  const node = <span class="id">{nodeId ?? "a node"}</span>;
  if (what === "joined") return <>{node} joined</>;
  if (what === "left") return <>{node} left{how && how !== "left" ? `: ${how}` : ""}</>;
  if (what === "leaving") return <>{node} is leaving</>;
  if (what === "leader") {
    return nodeId === undefined
      ? <>nobody leads</>
      : <>{node} leads{term ? `, term ${term}` : ""}</>;
  }
  return <>{several(shards ?? 0, "shard")} moved{nodeId && <>to {node}</>}</>;
}
