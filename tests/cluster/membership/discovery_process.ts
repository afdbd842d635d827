import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { DiscoveryOptions } from "../../../cluster/membership/options.ts";
import { Child } from "../../support/child.ts";

const SCRIPT = new URL("./discovery_worker.ts", import.meta.url);

/** A node in a process of its own; see `discovery_worker.ts`. */
export class NodeProcess extends Child implements AsyncDisposable {
  /** Starts it; it connects by `connecting` and joins by `options`. */
  constructor(
    urls: readonly string[],
    options: DiscoveryOptions,
    connecting: NodeConnectionOptions = {},
  ) {
    super(SCRIPT, [urls.join(), JSON.stringify(options), JSON.stringify(connecting)]);
  }

  /** Resolves when it has joined, for the first time or once more, with its incarnation. */
  joined(): Promise<string> {
    return this.line();
  }

  /** Has it leave, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
