/**
 * Connections whose requests a test changes on their way, or whose answers it holds back: as if another server,
 * or one that is behind, had given them.
 *
 * @module
 */

import type { Msg, NatsConnection } from "@nats-io/transport-node";

/** Puts `wrap`'s methods before those of a connection. */
function wrapped(connection: NatsConnection, wrap: Partial<NatsConnection>): NatsConnection {
  return new Proxy(connection, {
    get(target, name): unknown {
      const value = Reflect.get(wrap, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A connection to a leader that was deposed, and has not heard of it, for requests that are picked. */
export interface Stale {
  readonly connection: NatsConnection;
  /** The next `times` requests that `picks` says get the answer of a leader that has no message there. */
  missNext(picks: (subject: string, payload: string) => boolean, times?: number): void;
  /** How many did. */
  readonly missed: number;
}

/** Requests for a message that are picked are changed to ask for one that no stream has. */
export function staleLeader(connection: NatsConnection): Stale {
  let picked: ((subject: string, payload: string) => boolean) | undefined;
  let left = 0;
  let missed = 0;
  return {
    connection: wrapped(connection, {
      publish(subject, payload, options) {
        const text = String(payload);
        if (left > 0 && subject.includes(".STREAM.MSG.GET.") && picked!(subject, text)) {
          left--;
          missed++;
          payload = JSON.stringify({ seq: Number.MAX_SAFE_INTEGER });
        }
        connection.publish(subject, payload, options);
      },
    }),
    missNext(picks, times = 1) {
      [picked, left] = [picks, times];
    },
    get missed() {
      return missed;
    },
  };
}

/** A connection that holds the answer to one request back, as a slow route does. */
export interface SlowRoute {
  readonly connection: NatsConnection;
  /** Holds the answer to the next request back that `picks` says. */
  holdNext(picks: (subject: string, payload: string) => boolean): void;
  /** Resolves when it has come, and is held. */
  readonly held: Promise<void>;
  /** Lets it go on. */
  release(): void;
}

/** Answers come late whose requests are picked. */
export function slowRoute(connection: NatsConnection): SlowRoute {
  let picked: ((subject: string, payload: string) => boolean) | undefined;
  let reply: string | undefined;
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  return {
    connection: wrapped(connection, {
      publish(subject, payload, options) {
        if (picked?.(subject, String(payload))) [picked, reply] = [undefined, options?.reply];
        connection.publish(subject, payload, options);
      },
      subscribe(subject, options = {}) {
        const { callback } = options;
        if (callback === undefined) return connection.subscribe(subject, options);
        const later = (error: Error | null, message: Msg): void => {
          if (error !== null || message.subject !== reply) {
            callback(error as never, message);
            return;
          }
          held.resolve();
          released.promise.then(() => callback(null, message));
        };
        return connection.subscribe(subject, { ...options, callback: later as typeof callback });
      },
    }),
    holdNext: (picks) => picked = picks,
    held: held.promise,
    release: released.resolve,
  };
}
