/** How nodes find out about each other, in ms. */
export interface DiscoveryTimings {
  /** Until the heartbeat of a node that does not renew it expires; whole seconds. */
  readonly heartbeatTtl: number;
  /** From one renewal of the heartbeat to the next. */
  readonly heartbeat: number;
  /** From one ping of a node to the next. */
  readonly ping: number;
  /** How long nothing may listen on a node's subject before the node counts as crashed. */
  readonly crash: number;
  /** Nodes that fall silent within this time count as an outage rather than as crashed. */
  readonly outage: number;
  /** How often what is known is compared with what is stored. */
  readonly reconcile: number;
}

/** Options for the timings; see {@linkcode DiscoveryTimings}. */
export type DiscoveryTimingOptions = Partial<DiscoveryTimings>;

/**
 * Fills in defaults, and refuses timings that cannot work.
 *
 * The defaults follow from NATS. After the loss of a stream's leader the server takes no writes for
 * up to 9 s: a heartbeat that was renewed just before has 15 - 3 s left. After the loss of the
 * server that a node is connected to, requests to it are answered "no responders" for up to 1.8 s
 * though it is alive, with the client's defaults: 2.5 s is more than that.
 *
 * @throws {RangeError} The timings break a rule.
 */
export function discoveryTimings({
  heartbeatTtl = 15_000,
  heartbeat = Math.min(3000, heartbeatTtl / 5),
  ping = 500,
  crash = 2500,
  outage = Math.max(1000, 2 * ping),
  reconcile = 60_000,
}: DiscoveryTimingOptions = {}): DiscoveryTimings {
  const timings = { heartbeatTtl, heartbeat, ping, crash, outage, reconcile };
  for (const [name, value] of Object.entries(timings)) {
    if (!(value >= 1 && value < 2 ** 31)) {
      throw new RangeError(`Cannot watch nodes: ${name} is ${value}, not a time in ms from 1`);
    }
  }
  if (heartbeatTtl % 1000 !== 0) {
    throw new RangeError(
      `Cannot keep a heartbeat for ${heartbeatTtl} ms: the server counts whole seconds; ` +
        `take ${Math.ceil(heartbeatTtl / 1000) * 1000}`,
    );
  }
  if (heartbeatTtl < 3 * heartbeat) {
    throw new RangeError(
      `Cannot renew a heartbeat of ${heartbeatTtl} ms every ${heartbeat} ms: a third of it at ` +
        "most leaves room for two that are lost",
    );
  }
  if (crash < 4 * ping) {
    throw new RangeError(
      `Cannot detect a crash in ${crash} ms by a ping every ${ping} ms: four of them have to fit in`,
    );
  }
  if (outage < 2 * ping || outage >= crash) {
    throw new RangeError(
      `Cannot detect an outage by nodes that fall silent within ${outage} ms: it has to be from ` +
        `two pings (2 x ${ping}) to less than the crash timing (${crash})`,
    );
  }
  return timings;
}
