/** The outcome of one ping. */
export type PingOutcome =
  /** The node is alive. */
  | "answered"
  /** Nobody listens on the node's subject, as far as the observer's server knows. */
  | "no responders"
  /** Somebody listens, and no answer came in time. */
  | "timeout"
  /** The observer itself had no connection during the ping. */
  | "unsent";

/** One ping, by the observer's monotonic clock. */
export interface Ping {
  readonly outcome: PingOutcome;
  /** When it was sent, in ms. */
  readonly sentAt: number;
  /** When its outcome was known, in ms. */
  readonly endedAt: number;
  /** The NATS server that the node was connected to when it answered. */
  readonly server?: string | undefined;
}

/** How a node seems to the observer. */
export type Suspicion =
  /** Its last ping was answered, or none has failed yet. */
  | "alive"
  /** It does not answer, for whatever reason. */
  | "suspected"
  /** Nothing has listened on its subject for long enough, and no other node shows the same. */
  | "crashed"
  /**
   * Nothing listens on its subject, and the same holds for other nodes, or a NATS server has just
   * gone: an outage is more likely than its death, so only its heartbeat can tell.
   */
  | "outage";

/** The timings of a {@linkcode FailureDetector}, in ms. */
export interface DetectorTimings {
  /** Between two pings of one node. */
  readonly ping: number;
  /** How long "no responders" has to last, without a gap, for a node to count as crashed. */
  readonly crash: number;
  /** How close together nodes fall silent in an outage. */
  readonly outage: number;
}

/** The observations of one node. */
interface Record {
  server: string | undefined;
  /** When the first ping of the present silence was sent. */
  silentSince: number | undefined;
  /** When the present run of "no responders" began: known then. */
  deafSince: number | undefined;
  /** When the last ping of that run was sent, and known. */
  lastSent: number;
  lastEnded: number;
  /** When it last answered. */
  answeredAt: number;
  /** When it fell silent lately, and on which server: also on which it has answered since. */
  readonly onsets: { readonly at: number; server: string | undefined }[];
}

/** How many of a node's latest silences are remembered. */
const MAX_ONSETS = 4;

/**
 * Distinguishes a node that has crashed from one that is out of reach. Pure: its caller passes in
 * pings and the time. A crash is "no responders" without a gap. The count starts again after an
 * answer, a ping that timed out (as something listens then), a break of the observer's own
 * connection, and a pause in its own observation. Several nodes that fall silent within a moment
 * count as an outage of NATS if they are more than half of the watched ones, or all that were
 * connected to one NATS server; so does one that falls silent when a NATS server goes.
 */
export class FailureDetector {
  readonly #timings: DetectorTimings;
  readonly #records = new Map<string, Record>();
  readonly #serversGone: number[] = [];

  /** Begins without any node. */
  constructor(timings: DetectorTimings) {
    this.#timings = timings;
  }

  /** Watches just these nodes and forgets the others; a new one counts as alive. */
  watch(nodes: Iterable<string>): void {
    const watched = new Set(nodes);
    for (const node of [...this.#records.keys()]) {
      if (!watched.has(node)) this.#records.delete(node);
    }
    for (const node of watched) {
      if (!this.#records.has(node)) this.#records.set(node, fresh());
    }
  }

  /** Records a ping of `node`. */
  record(node: string, { outcome, sentAt, endedAt, server }: Ping): void {
    if (outcome === "unsent") return this.restart();
    const record = this.#records.get(node);
    if (record === undefined) return;
    if (outcome === "answered") {
      record.server = server ?? record.server;
      record.answeredAt = endedAt;
      record.silentSince = record.deafSince = undefined;
      return;
    }
    if (record.silentSince === undefined) {
      record.silentSince = sentAt;
      record.onsets.push({ at: sentAt, server: record.server });
      if (record.onsets.length > MAX_ONSETS) record.onsets.shift();
    }
    if (outcome === "timeout") {
      record.deafSince = undefined;
      return;
    }
    if (record.deafSince === undefined || sentAt - record.lastEnded > this.#maxGap) {
      record.deafSince = endedAt;
    }
    record.lastSent = sentAt;
    record.lastEnded = endedAt;
  }

  /** Sets the NATS server that a node was connected to, if the node has not answered yet. */
  place(node: string, server: string): void {
    const record = this.#records.get(node);
    if (record === undefined || record.server !== undefined) return;
    record.server = server;
    for (const onset of record.onsets) onset.server ??= server;
  }

  /** Records that a NATS server has gone, as the observer's own server reports. */
  serverGone(at: number): void {
    this.#serversGone.push(at);
    if (this.#serversGone.length > MAX_ONSETS) this.#serversGone.shift();
  }

  /** The observer could not observe: all counts start again. */
  restart(): void {
    for (const record of this.#records.values()) {
      record.silentSince = record.deafSince = undefined;
      record.onsets.length = 0;
    }
  }

  /** When `node` last answered; `-Infinity` for never. */
  answeredAt(node: string): number {
    return this.#records.get(node)?.answeredAt ?? -Infinity;
  }

  /** How `node` seems at the time `now`. */
  verdict(node: string, now: number): Suspicion {
    const record = this.#records.get(node);
    if (record?.silentSince === undefined) return "alive";
    const { deafSince, lastSent, lastEnded, silentSince } = record;
    const isCurrent = now - lastEnded <= this.#maxGap;
    if (deafSince === undefined || !isCurrent || lastSent - deafSince < this.#timings.crash) {
      return "suspected";
    }
    return this.#isOutage(node, silentSince) ? "outage" : "crashed";
  }

  /** A longer gap between two pings means that the observer has not observed. */
  get #maxGap(): number {
    return 3 * this.#timings.ping;
  }

  #isOutage(node: string, since: number): boolean {
    const { outage, ping } = this.#timings;
    // A server's end shows up to one ping and one window later.
    if (this.#serversGone.some((at) => since > at - outage - ping && since < at + 2 * outage)) {
      return true;
    }
    const isOf = ({ at }: { readonly at: number }) => Math.abs(at - since) <= outage;
    const records = [...this.#records.values()];
    const silent = records.filter(({ onsets }) => onsets.some(isOf));
    if (silent.length < 2) return false;
    if (silent.length > records.length / 2) return true;
    const server = this.#records.get(node)?.onsets.find(isOf)?.server;
    if (server === undefined) return false;
    const mates = silent.filter(({ onsets }) =>
      onsets.some((onset) => isOf(onset) && onset.server === server)
    );
    return mates.length > 1 &&
      records.every((record) => record.server !== server || mates.includes(record));
  }
}

function fresh(): Record {
  return {
    server: undefined,
    silentSince: undefined,
    deafSince: undefined,
    lastSent: -Infinity,
    lastEnded: -Infinity,
    answeredAt: -Infinity,
    onsets: [],
  };
}
