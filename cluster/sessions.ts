import type { NodeSession } from "./session.ts";
import { messageOf } from "../store/base/text.ts";
import { isAetherError, StoreRefusedError } from "../store/errors.ts";
import type { ShardMap } from "./sharding/shard_map.ts";

/** What opening a store throws if no retry helps. */
const LASTING = ["StoreRefusedError", "StreamConfigError", "UnsupportedServerError"] as const;

/** Tells that a node cannot come back, for `error`; `undefined` if another try may help. */
export function comebackRefusal(nodeId: string, error: unknown): StoreRefusedError | undefined {
  if (!LASTING.some((name) => isAetherError(error, name))) return undefined;
  const advice = "mend that, then let the node join again";
  return new StoreRefusedError(
    `Cannot come back as node "${nodeId}", which the others took for gone, so it leaves: ` +
      `${messageOf(error)}; ${advice}`,
    advice,
    undefined,
    { cause: error },
  );
}

/** The parts of a node that its sessions need. */
export interface SessionsParts {
  /** The node's present incarnation. */
  readonly incarnation: () => string;
  /** The newest map that is known. */
  readonly map: () => ShardMap;
  /** Opens the session of an incarnation. */
  readonly open: (incarnation: string) => Promise<NodeSession>;
  readonly report: (error: unknown) => void;
}

/** The sessions of a node, of one incarnation after another. */
export class Sessions {
  readonly #parts: SessionsParts;
  #current: NodeSession;
  /** Former sessions that have commands under way. */
  readonly #ending = new Set<Promise<void>>();

  /** Begins with a session that is open. */
  constructor(first: NodeSession, parts: SessionsParts) {
    this.#current = first;
    this.#parts = parts;
  }

  /** The session of the present incarnation. */
  get current(): NodeSession {
    return this.#current;
  }

  /** If the others took this node for gone, it is back as another incarnation, without a shard. */
  async keepUp(): Promise<void> {
    const { incarnation, map, open, report } = this.#parts;
    while (incarnation() !== this.#current.store.incarnation) {
      const before = this.#current;
      const ending = before.close().catch(report);
      before.mute(); // The others have it out of the view already.
      this.#ending.add(ending);
      ending.then(() => this.#ending.delete(ending));
      this.#current = await open(incarnation());
      this.#current.learn(map());
    }
  }

  /** Ends them all; commands are sent on until the current one is muted. */
  async close(): Promise<void> {
    await Promise.all([this.#current.close(), ...this.#ending]);
  }
}
