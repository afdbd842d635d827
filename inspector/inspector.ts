import {
  asGiven,
  given,
  needDecider,
  needObject,
  needOptionalFunctions,
  needOptionalMethods,
  needSignal,
} from "../store/base/given.ts";
import { problem, problemOf } from "../adapters/http/problem.ts";
import { callHook, print } from "../store/base/hook.ts";
import { verify } from "../store/verify/verify.ts";
import { Actions } from "./look/actions.ts";
import { ActorIndex } from "./look/actor_index.ts";
import { actorView } from "./look/actor.ts";
import { causationView, MOST_EVENTS, MOST_NODES } from "./look/causation.ts";
import { ClusterLook } from "./look/cluster.ts";
import { bodyOf, Gate } from "./http/gate.ts";
import { findKin } from "./look/kin.ts";
import { type LiveName, LiveViews } from "./http/live.ts";
import { pageAnswer } from "./http/page_answer.ts";
import type { InspectorParts } from "./parts.ts";
import { plainJson } from "./http/plain_json.ts";
import { ProcessesLook } from "./look/processes.ts";
import { ProjectionsLook } from "./look/projections.ts";
import { Query } from "./http/query.ts";
import { ClusterRecords, ProjectionRecords } from "./look/records.ts";
import { Refusal, statusOf } from "./http/refusal.ts";
import { sourceOf } from "./look/source.ts";
import { MOST_STATES, statesView } from "./look/states.ts";
import { StoreLook } from "./look/store.ts";
import { LiveStreams } from "./http/streams.ts";
import { Tails } from "./look/tail.ts";
import type { AboutView } from "./views/about.ts";
import { workersOf } from "./look/workers.ts";

/** Bounds of answers. */
const MOST = { actors: 500, events: 500, processes: 200, perSecond: 500 } as const;
/** How often a search reports how far it is, in ms. */
const REPORT = 200;

/** The answer of one path. */
type Route = (query: Query, request: Request) => Promise<unknown> | Response;

/**
 * An API over a store, its projections, processes and cluster, and the page that shows it, as one Fetch
 * handler for `Deno.serve`, Hono, or any other server that has the types of Fetch.
 *
 * It reads, with no more permissions than a reader has; operators can act only if `actions` is set, and
 * with the token. It answers requests to loopback names and to `hosts` only, and no page of another
 * origin. Ids and texts are in bodies of requests, and never in a URL.
 *
 * @throws {TypeError} `actions` is set and there is no token, or a host is no name.
 * @throws {RangeError} The token is shorter than 16 characters or has other than visible ASCII ones, or
 * `maxStreams` is out of its range.
 *
 * @example Look at a store
 * ```ts
 * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
 * import { inspector } from "@flowmade-one/aether/inspector";
 *
 * const store = new InMemoryEventStore();
 * const placed = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { total: 5 } };
 * await store.saveEvent(createEvent(placed));
 *
 * const handler = inspector({ store }); // Deno.serve({ hostname: "127.0.0.1", port: 8080 }, handler)
 * const answer = await handler(
 *   new Request("http://localhost/api/actor", {
 *     method: "POST",
 *     headers: { "content-type": "application/json" },
 *     body: JSON.stringify({ actorId: "order-1" }),
 *   }),
 * );
 * console.log((await answer.json()).version); // 1
 * await store[Symbol.asyncDispose]();
 * ```
 */
export function inspector(parts: InspectorParts): (request: Request) => Promise<Response> {
  needObject(parts, "inspect", "parts", "an object with a store");
  checkParts(parts);
  const { hosts = [], actions = false, token, onError = warn } = parts;
  const gate = new Gate(hosts, actions, token);
  /** Reports what the client is not told. */
  const report = (error: unknown): void => {
    const { status } = problemOf(error, { status: statusOf }).details;
    if (status === 500) callHook("onError of inspector()", () => onError(error));
  };
  const routes = routesOf(parts, gate, report);
  return async (request) => {
    try {
      gate.admit(request);
      return guarded(await answerTo(request, routes));
    } catch (error) {
      const answer = problem(error, { status: statusOf });
      report(error);
      // Clients that send a body wait until it is read, or the connection is closed.
      await request.body?.cancel().catch(() => {});
      return guarded(answer);
    }
  };
}

/**
 * Refuses parts of another kind than an inspector shows.
 *
 * @throws {TypeError} One is something else.
 */
function checkParts(parts: InspectorParts): void {
  const { projections = [], processes = [], cluster, deciders = {}, signal } = parts;
  needOptionalFunctions(parts, ["onError"], "inspect");
  needSignal(signal, "inspect");
  needOptionalMethods(cluster, ["describe"], "inspect", "cluster", "a Cluster");
  needObject(deciders, "inspect", "deciders", "an object with a decider for each category");
  for (const [category, decider] of Object.entries(deciders)) {
    needDecider(decider, "inspect", `the decider of "${category}"`, ["initialState", "evolve"]);
  }
  for (const [name, list] of Object.entries({ projections, processes })) {
    if (!Array.isArray(list)) {
      throw new TypeError(`Cannot inspect: ${name} is ${given(list)}, not an array`);
    }
    for (const one of list) needObject(one, "inspect", `one of ${name}`);
  }
}

async function answerTo(
  request: Request,
  routes: ReadonlyMap<string, Route>,
): Promise<Response> {
  const { method, url } = request;
  const { pathname } = new URL(url);
  if (pathname === "/") {
    if (method === "GET" || method === "HEAD") return pageAnswer(request);
    throw new Refusal(405, "The page is for GET");
  }
  const route = routes.get(pathname);
  if (route === undefined) throw new Refusal(404, "There is nothing at this path");
  if (method !== "POST") throw new Refusal(405, "The API is for POST");
  const answer = await route(new Query(await bodyOf(request)), request);
  if (answer instanceof Response) return answer;
  return new Response(plainJson(answer), { headers: { "content-type": "application/json" } });
}

/** Adds what no answer goes without. */
function guarded(answer: Response): Response {
  const { headers } = answer;
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-resource-policy", "same-origin");
  return answer;
}

function routesOf(
  parts: InspectorParts,
  gate: Gate,
  onError: (error: unknown) => void,
): ReadonlyMap<string, Route> {
  const { store, cluster, signal, actions = false, maxStreams = 128 } = parts;
  const { projections = [] } = parts;
  const [processes, deciders] = [asGiven(parts.processes ?? []), asGiven(parts.deciders ?? {})];
  if (!(Number.isSafeInteger(maxStreams) && maxStreams >= 1)) {
    throw new RangeError(`Cannot make an inspector: maxStreams is ${maxStreams}, not 1 or more`);
  }
  const source = sourceOf(store);
  const { reader, namespace } = source;
  const kept = reader === undefined || namespace === undefined ? undefined : {
    projections: new ProjectionRecords(reader, namespace),
    cluster: new ClusterRecords(reader, namespace),
  };
  const workers = workersOf(projections, processes);
  const streams = new LiveStreams(maxStreams, signal, onError);
  const tails = new Tails(store);
  const index = new ActorIndex(store, source, signal ?? new AbortController().signal);
  const looks = {
    store: new StoreLook(store, source, index, () => tails.seen),
    projections: new ProjectionsLook(source, kept?.projections, workers, actions),
    cluster: new ClusterLook(reader, kept?.cluster, cluster),
  };
  const processesLook = new ProcessesLook(store, kept?.projections, processes, actions);
  const live = new LiveViews({
    store: () => looks.store.view(),
    projections: () => looks.projections.view(),
    cluster: () => looks.cluster.view(),
  }, onError);
  const acting = new Actions(workers, processes);
  const known = new Set(Object.keys(deciders));
  let isVerifying = false;

  const about = (): AboutView => ({
    ...(namespace !== undefined && { namespace }),
    ...{ identity: store.identity, deciders: [...known], actions },
    views: {
      projections: kept !== undefined || workers.length > 0,
      processes: kept !== undefined || processes.length > 0,
      cluster: kept !== undefined || cluster !== undefined,
    },
    limits: {
      ...{ actors: MOST.actors, events: MOST.events, processes: MOST.processes },
      ...{ states: MOST_STATES, nodes: MOST_NODES, streams: maxStreams },
    },
  });

  return new Map<string, Route>(
    Object.entries<Route>({
      about: () => Promise.resolve(about()),
      store: () => looks.store.view(),
      projections: () => looks.projections.view(),
      cluster: () => looks.cluster.view(),
      actors: (query) =>
        index.page({
          ...{ category: query.text("category"), prefix: query.text("prefix") },
          ...{ after: query.text("after"), limit: query.limit(50, MOST.actors) },
        }),
      actor: (query, { signal }) =>
        actorView(
          store,
          source,
          {
            actorId: query.id("actorId"),
            from: query.number("fromVersion", 1),
            to: query.number("toVersion", Number.MAX_SAFE_INTEGER),
            backwards:
              query.word("direction", ["forwards", "backwards"], "forwards") === "backwards",
            limit: query.limit(100, MOST.events),
          },
          known,
          signal,
        ),
      states: (query, { signal }) =>
        statesView(store, deciders, {
          actorId: query.id("actorId"),
          from: query.number("fromVersion", 1),
          to: query.number("toVersion", Number.MAX_SAFE_INTEGER),
        }, signal),
      processes: (query) =>
        processesLook.view({
          ...{ name: query.text("name"), isParked: query.flag("parked") },
          ...{ after: query.text("after", 1_024), limit: query.limit(50, MOST.processes) },
        }),
      causation: (query, request) => {
        const [eventId, sequence] = [query.needed("eventId"), query.number("sequence", undefined)];
        return streams.answer(request, async (stream) => {
          let [events, reported] = [0, performance.now()];
          const kin = await findKin(store, eventId, {
            ...{ limit: MOST_EVENTS, sequence, signal: stream.signal },
            onRead: (position, count) => {
              events += count;
              if (performance.now() - reported < REPORT) return;
              reported = performance.now();
              stream.send("progress", { events, position });
            },
          });
          if (kin === undefined) throw new Refusal(404, "There is no such event");
          stream.deliver("causation", causationView(kin));
        });
      },
      tail: (query, request) => {
        const types = query.texts("eventTypes");
        const filter = {
          ...{ category: query.text("category"), text: query.text("text")?.toLowerCase() },
          eventTypes: types && new Set(types),
          perSecond: query.limit(20, MOST.perSecond, "perSecond"),
        };
        return streams.answer(request, (stream) => tails.follow(stream, filter));
      },
      live: (query, request) => {
        const names = query.texts("views") ?? [];
        const all: readonly LiveName[] = ["store", "projections", "cluster"];
        const wanted = all.filter((name) => names.includes(name));
        if (wanted.length === 0 || wanted.length < new Set(names).size) {
          throw new Refusal(400, `Cannot follow "views" of the body: it names none of ${all}`);
        }
        const follow = { isOpenEnded: true };
        return streams.answer(request, (stream) => live.follow(stream, wanted), follow);
      },
      verify: (query, request) => {
        const from = query.number("from", 0);
        if (isVerifying) throw new Refusal(409, "A verification is under way: wait for it to end");
        return streams.answer(request, async (stream) => {
          isVerifying = true;
          try {
            const work = verify(store, { from, signal: stream.signal });
            for await (const progress of work) stream.send("progress", progress);
            stream.deliver("report", await work);
          } finally {
            isVerifying = false;
          }
        });
      },
      act: async (query, request) => {
        await gate.authorize(request);
        return await acting.run(query, request.signal);
      },
    }).map(([name, route]) => [`/api/${name}`, route]),
  );
}

function warn(error: unknown): void {
  print("warn", "A request to the inspector has failed:", error);
}
