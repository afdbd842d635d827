/**
 * Saves of all kinds at the same actors from several stores at once.
 *
 * @module
 */

import type { Event, JetStreamEventStore } from "../../../store/mod.ts";
import { attemptWith } from "./batch_bed.ts";
import { fact, type Outcome } from "../../support/fault.ts";
import type { Guarded } from "./guard_check.ts";

/** The events to save. */
export interface HammerOptions {
  /** How often each store fills its queue. */
  readonly rounds: number;
  /** Saves in a queue. @default {40} */
  readonly length?: number;
  /** How many actors are fought for. @default {2} */
  readonly actors?: number;
  /** Whether saves are repeated, aborted and guarded now and then. @default {true} */
  readonly mixed?: boolean;
  /** The source of chance. */
  readonly random: () => number;
}

/**
 * Each of `stores` looks up the latest versions, then queues saves that build on each other,
 * and again when all have ended.
 */
export async function hammer(
  stores: readonly JetStreamEventStore[],
  { rounds, length = 40, actors = 2, mixed = true, random }: HammerOptions,
): Promise<Guarded[]> {
  const saves: Guarded[] = [];
  const pick = (count: number) => Math.floor(random() * count);
  await Promise.all(stores.map(async (store) => {
    for (let round = 0; round < rounds; round++) {
      const versions = await Promise.all(Array.from({ length: actors }, async (_, at) => {
        try {
          return await store.getLatestVersion(`order-${at}`, { fresh: true });
        } catch {
          return 0; // The server is out of reach: a guess is as good.
        }
      }));
      const next = (at: number, step = 1): Event => fact(`order-${at}`, versions[at]! += step);
      const queue: Promise<void>[] = [];
      for (let count = 0; count < length; count++) {
        const actor = pick(actors);
        const kind = mixed ? pick(12) : 11;
        const own = { actorId: `order-${actor}`, version: versions[actor]! };
        const foreign = (actor + 1) % actors;
        const other = { actorId: `order-${foreign}`, version: versions[foreign]! };
        const controller = new AbortController();
        const { signal } = controller;
        const save = (
          events: Event[],
          expect: Guarded["expect"] = [],
          options: { signal?: AbortSignal } = {},
        ): void => {
          queue.push(
            attemptWith(store, events, { expect, ...options }).then((outcome: Outcome) =>
              void saves.push({ outcome, expect })
            ),
          );
        };
        if (kind === 0) save([next(actor), next(foreign), next(actor)]);
        else if (kind === 1) save([next(actor)], [own]);
        else if (kind === 2) save([next(actor), next(actor, 2)], [own]);
        else if (kind === 3 && actors > 1) save([next(actor)], [other]);
        else if (kind === 4 && actors > 1) save([next(actor), next(actor)], [own, other]);
        else if (kind === 5) save([next(actor)], [], { signal });
        else if (kind === 6) save([next(actor, 3)]);
        else save([next(actor)]);
        if (kind === 5 && pick(2) === 0) queueMicrotask(() => controller.abort());
      }
      await Promise.all(queue);
    }
  }));
  return saves;
}
