/**
 * The bed of tests of the commit path: a store behind a proxy, and saves with options.
 *
 * @module
 */

import { assertTruthful, attempt, type Outcome, storedIn, tampered } from "../../support/fault.ts";
import type { Scene } from "../../support/fixture.ts";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  type Event,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
  type SaveOptions,
} from "../../../store/mod.ts";
import type { Frame } from "../../support/nats_frames.ts";
import type { Proxy } from "../../support/proxy.ts";

/** A store behind a proxy. */
export interface Bed extends AsyncDisposable {
  /** Loses what a test wants lost. */
  readonly proxy: Proxy;
  /** The connection through the proxy. */
  readonly connection: NatsConnection;
  /** The store whose connection goes through the proxy. */
  readonly store: JetStreamEventStore;
  /** Another store of the same namespace, without the proxy. */
  readonly other: JetStreamEventStore;
  /** Whether a client's frame is an event on its way. */
  isEvent(frame: Frame): boolean;
  /** Checks reports to the callers against the stream. */
  check(outcomes: readonly Outcome[]): Promise<void>;
}

/** Opens a store behind a proxy, and one beside it. */
export async function bedOf(
  scene: Scene,
  options: JetStreamEventStoreOptions = {},
  tamper?: Parameters<typeof tampered>[1],
): Promise<Bed> {
  const { namespace } = scene;
  const direct = await scene.connect();
  const proxy = scene.proxy();
  const proxied = await scene.connect({ servers: proxy.url });
  const connection = tamper === undefined ? proxied : tampered(proxied, tamper);
  const store = await JetStreamEventStore.open(connection, { namespace, ...options });
  const other = await JetStreamEventStore.open(direct, { namespace });
  return {
    proxy,
    connection,
    store,
    other,
    isEvent: (frame) => frame.subject.startsWith(`aether.${namespace}.event.`),
    check: async (outcomes) =>
      assertTruthful(
        outcomes,
        await storedIn(direct, store.stream, { guarded: tamper === undefined }),
      ),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

/** Saves `events` with `options` and says how it ended. */
export async function attemptWith(
  store: JetStreamEventStore,
  events: readonly Event[],
  options: SaveOptions,
): Promise<Outcome> {
  return await attempt(withOptions(store, options), ...events);
}

/** `store`, all saves of which have `options`. */
function withOptions(store: JetStreamEventStore, options: SaveOptions): JetStreamEventStore {
  const saveEvents = (events: readonly Event[]) => store.saveEvents(events, options);
  return { saveEvents } as JetStreamEventStore;
}

/** Whether a server's frame is an answer to the store. */
export function isAnswer(frame: Frame): boolean {
  return frame.verb.endsWith("MSG") && frame.subject.startsWith("_INBOX.");
}
