import { categoryOf } from "../../store/actor.ts";
import { forEachOf } from "../../store/base/several.ts";
import { messageOf } from "../../store/base/text.ts";
import { tokenProblem } from "../../store/base/token.ts";
import { messageSequenceOf } from "../../store/format/position.ts";
import { attempt } from "../../store/nats/retry.ts";
import type { StoredMessage } from "../../store/nats/stored_message.ts";
import { headIn } from "../../store/read/message_facts.ts";
import type { ReaderParts } from "../../store/read/pages.ts";
import { listSubjects } from "../../store/read/subject_list.ts";
import { lastPositionIn } from "../../store/read/live_source.ts";
import type { EventStore } from "../../store/store.ts";
import { positionsOf } from "../../store/store_positions.ts";
import type { StoreSource } from "./source.ts";
import type { ActorsView } from "../views/actors.ts";
import type { CategoriesView, CategoryView } from "../views/store.ts";

/** Ids that are kept at most, so that they can be searched. */
const MOST_IDS = 500_000;
/** Categories that are listed, and those of them whose last change is asked for. */
const [MOST_CATEGORIES, MOST_CHANGES] = [200, 50];
/** The shortest time between two counts, in ms, and in times of the last one. */
const [REST, SHARE] = [400, 4];
/** Shards that are listed at once. */
const AT_ONCE = 4;
/** How long a view waits for a count that is under way, in ms: then it takes what there is. */
const PATIENCE = 200;

/** Counts of one category. */
interface Tally {
  actors: number;
  messages: number;
}

/** The actors of a store, as they were listed last. */
interface Listing {
  /** In order. */
  readonly ids: readonly string[];
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly actors: number;
  /** Whether all ids are kept. */
  readonly isWhole: boolean;
}

const NOTHING: Listing = { ids: [], tallies: new Map(), actors: 0, isWhole: false };

/**
 * The ids of all actors, kept in order, and counts of categories. They are listed again when somebody
 * looks and the store has changed, at most for a fifth of the time.
 */
export class ActorIndex {
  readonly #store: EventStore;
  readonly #source: StoreSource;
  readonly #signal: AbortSignal;
  #listing = NOTHING;
  #categories: CategoriesView = {
    ...{ state: "counting", actors: 0, list: [], omitted: 0 },
  };
  /** The end of the store at the last listing, and when another one may begin. */
  #end = -1;
  #rested = 0;
  #counting: Promise<void> | undefined;
  /** The actors that are listed so far. */
  #listed: Listed | undefined;

  /** Lists nothing yet. */
  constructor(store: EventStore, source: StoreSource, signal: AbortSignal) {
    this.#store = store;
    this.#source = source;
    this.#signal = signal;
  }

  /** The categories, counted again if `end` has moved, or as they were counted last if that takes long. */
  async categories(end: number): Promise<CategoriesView> {
    await this.#refreshed(end);
    return this.#categories;
  }

  /** A page of actors, in order. */
  async page(
    { category, prefix = "", after, limit }: {
      readonly category: string | undefined;
      readonly prefix: string | undefined;
      readonly after: string | undefined;
      readonly limit: number;
    },
  ): Promise<ActorsView> {
    await this.#refreshed(await positionsOf(this.#store).end());
    // Before the first count has ended, a part is better than nothing.
    const { ids, isWhole } = this.#listing === NOTHING
      ? this.#listed?.part() ?? NOTHING
      : this.#listing;
    const begin = lowerBound(ids, prefix);
    const found: string[] = [];
    let total = 0;
    // An id with the category alone is of it too; others begin with it and a "-".
    const isWanted = (id: string) => category === undefined || categoryOf(id) === category;
    for (let at = begin; at < ids.length && ids[at]!.startsWith(prefix); at++) {
      const id = ids[at]!;
      if (!isWanted(id)) continue;
      total++;
      if (found.length <= limit && (after === undefined || id > after)) found.push(id);
    }
    // One that is known exactly need not be listed.
    const isId = tokenProblem(prefix) === undefined;
    if (found.length === 0 && after === undefined && isId && isWanted(prefix)) found.push(prefix);
    const next = found.length > limit ? found[limit - 1] : undefined;
    const actors = await this.#described(found.slice(0, limit));
    return {
      ...{ actors, total: Math.max(total, actors.length), isComplete: isWhole },
      ...(next !== undefined && { next }),
    };
  }

  /** Resolves when no listing is under way. */
  async settled(): Promise<void> {
    await this.#counting;
  }

  async #described(ids: readonly string[]): Promise<ActorsView["actors"][number][]> {
    const { reader } = this.#source;
    const ends = reader === undefined || ids.length === 0
      ? new Map<string, StoredMessage | undefined>()
      : await attempt(
        ...[reader.api.requests, reader.timeout, `look up ${ids.length} actors`] as const,
        () => reader.manyEnds.last(ids, true),
      );
    const versions = await this.#store.getLatestVersions(ids.filter((id) => !ends.has(id)));
    return ids.flatMap((actorId) => {
      const last = ends.get(actorId);
      const version = last === undefined ? versions.get(actorId) ?? 0 : headIn(last).version;
      if (version === 0) return [];
      const at = last?.time;
      return [{ actorId, category: categoryOf(actorId), version, ...(at && { at }) }];
    });
  }

  /** Counts if that is due; resolves when a count has ended, or goes on for long. */
  async #refreshed(end: number): Promise<void> {
    const isDue = end !== this.#end && performance.now() >= this.#rested && !this.#signal.aborted;
    if (isDue) this.#counting ??= this.#count(end).finally(() => this.#counting = undefined);
    if (this.#counting !== undefined) await atMost(PATIENCE, this.#counting);
  }

  async #count(end: number): Promise<void> {
    const begun = performance.now();
    try {
      const { reader } = this.#source;
      const list = this.#listed = new Listed();
      await (reader === undefined ? this.#list(list) : this.#listBy(reader, list));
      const listing = list.done();
      this.#listed = undefined;
      this.#listing = listing;
      this.#categories = await this.#categoriesOf(listing);
      this.#end = end; // Not before: what has failed is tried again, though nothing is stored.
    } catch (error) {
      const state = this.#categories.state === "ready" ? "ready" : "failed";
      this.#categories = { ...this.#categories, state, reason: messageOf(error) };
    }
    const took = performance.now() - begun;
    this.#rested = performance.now() + Math.max(REST, SHARE * took);
  }

  /** Lists by the contract of stores. */
  async #list(list: Listed): Promise<void> {
    for await (const actorId of this.#store.listActors()) {
      if (this.#signal.aborted) break;
      list.take(actorId, undefined);
    }
  }

  /** Lists by the server's own list, shard by shard, with the messages of each actor. */
  async #listBy(
    { api, headReader, shards, timeout, requestTimeout }: ReaderParts,
    list: Listed,
  ): Promise<void> {
    const { layout } = api;
    const subjects = (pattern: string) =>
      listSubjects((offset) => {
        const query = { subjects_filter: pattern, offset };
        return attempt(
          api.requests,
          timeout,
          "list actors",
          () => api.info(requestTimeout, query),
        );
      });
    const unborn = new Set<string>();
    for await (const [subject] of subjects(layout.allUnborn())) {
      const actorId = layout.unbornActorOf(subject);
      if (actorId !== undefined) unborn.add(actorId);
    }
    const doubtful = new Map<string, number>();
    const all = Array.from({ length: shards }, (_, shard) => shard);
    await forEachOf(all, AT_ONCE, async (shard) => {
      if (this.#signal.aborted) return;
      for await (const [subject, messages] of subjects(layout.events(undefined, shard))) {
        const actorId = headReader.actorOf(subject);
        if (actorId === undefined) continue;
        if (unborn.has(actorId)) doubtful.set(actorId, messages);
        else list.take(actorId, messages);
      }
    });
    // They may have outcomes of commands only, and no event.
    for (const [id, version] of await this.#store.getLatestVersions([...doubtful.keys()])) {
      if (version > 0) list.take(id, doubtful.get(id));
    }
  }

  async #categoriesOf({ tallies, actors }: Listing): Promise<CategoriesView> {
    const all = [...tallies].sort(([, one], [, other]) => other.actors - one.actors);
    const list = await Promise.all(
      all.slice(0, MOST_CATEGORIES).map(async ([category, tally], at): Promise<CategoryView> => {
        const last = at < MOST_CHANGES ? await this.#lastOf(category) : undefined;
        const { actors, messages } = tally;
        const isCounted = this.#source.reader !== undefined;
        return { category, actors, ...(isCounted && { messages }), ...(last && { last }) };
      }),
    );
    const at = new Date().toISOString();
    return { state: "ready", at, actors, list, omitted: all.length - list.length };
  }

  async #lastOf(category: string): Promise<CategoryView["last"]> {
    const { reader } = this.#source;
    if (reader === undefined) return undefined;
    const { api, requestTimeout } = reader;
    const message = await api.get({ last_by_subj: api.layout.events(category) }, requestTimeout);
    const actorId = message && api.layout.actorOf(message.subject);
    if (message === undefined || actorId === undefined) return undefined;
    return { at: message.time, actorId, sequence: lastPositionIn(message) };
  }
}

/** A listing under way. */
class Listed {
  readonly #ids: string[] = [];
  readonly #tallies = new Map<string, Tally>();
  #actors = 0;

  take(actorId: string, messages: number | undefined): void {
    this.#actors++;
    if (this.#ids.length < MOST_IDS) this.#ids.push(actorId);
    const category = categoryOf(actorId);
    let tally = this.#tallies.get(category);
    if (tally === undefined) this.#tallies.set(category, tally = { actors: 0, messages: 0 });
    tally.actors++;
    tally.messages += messages ?? 0;
  }

  /** The list as it is by now. */
  part(): Listing {
    const [ids, actors] = [this.#ids.toSorted(), this.#actors];
    return { ids, tallies: this.#tallies, actors, isWhole: false };
  }

  done(): Listing {
    // By code units, as `<` compares.
    const ids = this.#ids.sort();
    const actors = this.#actors;
    return { ids, tallies: this.#tallies, actors, isWhole: ids.length === actors };
  }
}

/** The first place in a list in order that is not before `text`. */
export function lowerBound(list: readonly string[], text: string): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

/** Messages of the stream between two positions, at most. */
export function messagesBehind(end: number, position: number): number {
  return Math.max(0, messageSequenceOf(end) - messageSequenceOf(position));
}
