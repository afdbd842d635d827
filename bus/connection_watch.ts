import { isError } from "../store/base/text.ts";
import type { Status } from "@nats-io/nats-core";
import type { Connection } from "../store/connection.ts";
import { isOneTooMany } from "../store/nats/request_error.ts";

/** Hooks of a {@linkcode ConnectionWatch}. */
export interface ConnectionHooks {
  /** The connection is back after `away` ms. */
  reconnected(away: number): void;
  /** The server has refused a publish on `subject`. */
  refused(error: Error, subject: string): void;
  /** The server has refused a subscription, as the connection has as many as it may have. */
  limited(error: Error): void;
  /** The connection is closed permanently; with `error` unless it was closed on purpose. */
  closed(error: Error | undefined): void;
}

/** Follows the state of a connection that another part owns. */
export class ConnectionWatch {
  readonly #connection: Connection;
  readonly #hooks: ConnectionHooks;
  readonly #status: AsyncIterable<Status> & { stop?(): void };
  #stopped = false;

  /** Begins at once. The hooks must not throw. */
  constructor(connection: Connection, hooks: ConnectionHooks) {
    this.#connection = connection;
    this.#hooks = hooks;
    this.#status = connection.status();
    this.#follow();
  }

  /** Detaches from the connection. */
  stop(): void {
    this.#stopped = true;
    // Not in the type: without it the connection would keep the iterator until it is closed.
    this.#status.stop?.();
  }

  async #follow(): Promise<void> {
    let since: number | undefined;
    for await (const status of this.#status) {
      if (this.#stopped) return;
      if (status.type === "disconnect") {
        since ??= performance.now();
      } else if (status.type === "reconnect" && since !== undefined) {
        this.#hooks.reconnected(performance.now() - since);
        since = undefined;
      } else if (status.type === "error") {
        const { error } = status as { error: Error & { operation?: string; subject?: string } };
        const { name, operation, subject } = error;
        if (name === "PermissionViolationError" && operation === "publish") {
          this.#hooks.refused(error, subject ?? "");
        } else if (isOneTooMany(error)) {
          this.#hooks.limited(error);
        }
      }
    }
    if (this.#stopped) return;
    const reason = await this.#connection.closed();
    if (!this.#stopped) this.#hooks.closed(isError(reason) ? reason : undefined);
  }
}

/** Resolves when the server has seen everything sent before, over disconnects; rejects on close. */
export async function reachServer(connection: Connection): Promise<void> {
  for (;;) {
    try {
      return await connection.flush();
    } catch (error) {
      // Disconnected: nats.js reports each attempt to reconnect, after which it sends again.
      if (connection.isClosed()) throw error;
    }
  }
}
