import type { StreamInfo } from "@nats-io/jetstream";
import { attempt } from "../../store/nats/retry.ts";
import type { ReaderParts } from "../../store/read/pages.ts";
import type { EventStore } from "../../store/store.ts";
import { positionsOf } from "../../store/store_positions.ts";
import type { StoreMetrics } from "../../store/telemetry/metrics.ts";
import type { ActorIndex } from "./actor_index.ts";
import type { StoreSource } from "./source.ts";
import type { CategoriesView, RatesView, ReplicaView, StoreView } from "../views/store.ts";

/** How far back rates look, in ms, and the shortest time that they are about. */
const [WINDOW, LEAST] = [5_000, 500];

/** Counts at a moment. */
interface Sample {
  readonly at: number;
  readonly metrics: StoreMetrics | undefined;
  readonly messages: number;
  readonly events: number | undefined;
}

/** Looks at the store as a whole, and makes rates of what changes between looks. */
export class StoreLook {
  readonly #store: EventStore;
  readonly #source: StoreSource;
  readonly #index: ActorIndex;
  /** Events that the tail has seen, while it is followed. */
  readonly #tailed: () => number | undefined;
  #samples: readonly Sample[] = [];

  /** Has not looked yet. */
  constructor(
    store: EventStore,
    source: StoreSource,
    index: ActorIndex,
    tailed: () => number | undefined,
  ) {
    this.#store = store;
    this.#source = source;
    this.#index = index;
    this.#tailed = tailed;
  }

  /** The store as it is now. */
  async view(): Promise<StoreView> {
    const { kind, namespace, stream, reader } = this.#source;
    const [[end, categories], server] = await Promise.all([
      this.#counted(),
      reader && serverOf(reader),
    ]);
    const metrics = this.#source.metrics();
    const rates = this.#rates(metrics, server?.sequence ?? 0);
    return {
      ...{ kind, ...(namespace !== undefined && { namespace }), ...(stream && { stream }) },
      ...{ identity: this.#store.identity, at: new Date().toISOString(), end },
      ...(server && { server: server.view }),
      categories,
      ...(metrics && { metrics }),
      ...(rates && { rates }),
    };
  }

  async #counted(): Promise<[end: number, CategoriesView]> {
    const end = await positionsOf(this.#store).end();
    return [end, await this.#index.categories(end)];
  }

  #rates(metrics: StoreMetrics | undefined, messages: number): RatesView | undefined {
    const now: Sample = { at: performance.now(), metrics, messages, events: this.#tailed() };
    const fresh = this.#samples.filter(({ at }) => now.at - at <= WINDOW);
    const last = fresh.at(-1);
    // Looks in quick succession say nothing new.
    this.#samples = last !== undefined && now.at - last.at < LEAST ? fresh : [...fresh, now];
    const [first] = fresh;
    if (first === undefined || now.at - first.at < LEAST) return undefined;
    const seconds = (now.at - first.at) / 1_000;
    const per = (count: (metrics: StoreMetrics) => number) =>
      metrics === undefined || first.metrics === undefined
        ? 0
        : Math.max(0, count(metrics) - count(first.metrics)) / seconds;
    const { events } = first;
    return {
      seconds,
      saves: per(({ saves }) => saves.saved),
      conflicts: per(({ saves }) => saves.conflict),
      reads: per(({ reads }) => reads),
      messages: Math.max(0, now.messages - first.messages) / seconds,
      ...(events !== undefined && now.events !== undefined && now.events >= events && {
        events: (now.events - events) / seconds,
      }),
    };
  }
}

/** The stream as the server describes it. */
async function serverOf(
  { api, timeout, requestTimeout, shards }: ReaderParts,
): Promise<{ readonly view: NonNullable<StoreView["server"]>; readonly sequence: number }> {
  const info = await attempt(
    ...[api.requests, timeout, "look at the stream"] as const,
    () => api.info(requestTimeout),
  );
  if (info === undefined) throw new Error("Cannot look at the stream: it is gone");
  const { state } = info;
  const version = api.requests.serverVersion;
  const isEmpty = state.messages === 0;
  return {
    sequence: state.last_seq,
    view: {
      ...{ messages: state.messages, bytes: state.bytes, consumers: state.consumer_count, shards },
      ...(!isEmpty && { firstAt: String(state.first_ts), lastAt: String(state.last_ts) }),
      ...(version !== "unknown" && { version }),
      replicas: replicasIn(info),
    },
  };
}

function replicasIn({ cluster }: StreamInfo): ReplicaView[] {
  const { leader, replicas = [] } = (cluster ?? {}) as Partial<NonNullable<StreamInfo["cluster"]>>;
  return [
    {
      ...(leader && { name: leader }),
      ...{ role: "leader" as const, current: true, offline: false, lag: 0 },
    },
    ...replicas.map(({ name, current, offline = false, lag = 0, active }): ReplicaView => ({
      ...{ name, role: "follower" as const, current, offline, lag },
      // In nanoseconds.
      ...(typeof active === "number" && { silent: Math.round(active / 1e6) }),
    })),
  ];
}
