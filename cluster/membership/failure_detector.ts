/** What became of one ping. */
export type PingOutcome =
  /** The node lives. */
  | "answered"
  /** Nobody listens on the node's subject, as far as the observer's server knows. */
  | "no responders"
  /** Somebody listens, and no answer came in time. */
  | "timeout"
  /** The observer itself had no connection all the while. */
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

/** What is to be thought of a node. */
export type Suspicion =
  /** Its last ping was answered, or none has failed yet. */
  | "alive"
  /** It does not answer, and that may mean anything. */
  | "suspected"
  /** Nobody has listened on its subject for long enough, and it is alone in that. */
  | "crashed"
  /**
   * Nobody listens on its subject, just as on those of others or just when a NATS server went:
   * more likely an outage than its death, so only its heartbeat can tell.
   */
  | "outage";

/** What a {@linkcode FailureDetector} goes by, in ms. */
export interface DetectorTimings {
  /** Between two pings of one node. */
  readonly ping: number;
  /** How long there have to be no responders, without a gap, for a node to be taken for crashed. */
  readonly crash: number;
  /** How close together nodes fall silent in an outage. */
  readonly outage: number;
}

/** What was seen of one node. */
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
  /** When it fell silent lately, and where it was then: also where it has answered since. */
  readonly onsets: { readonly at: number; server: string | undefined }[];
}

/** How many of its latest silences are remembered of a node. */
const MAX_ONSETS = 4;

/**
 * Tells a node that has crashed from one that cannot be reached: pure, it is told of pings and of
 * the time. A crash is "no responders" without a gap: an answer, a ping that timed out (for then
 * somebody listens), a break of the observer's own connection, and a pause in its own observation
 * all begin the count anew. Several nodes that fall silent within a moment are taken for an
 * outage of NATS if they are more than half of those that are watched, or all that were connected
 * to one NATS server; and so is one that falls silent when a NATS server goes.
 */
export class FailureDetector {
  readonly #timings: DetectorTimings;
  readonly #records = new Map<string, Record>();
  readonly #serversGone: number[] = [];

  /** Begins without knowing anybody. */
  constructor(timings: DetectorTimings) {
    this.#timings = timings;
  }

  /** Forgets all others than these; new ones are taken for alive. */
  watch(nodes: Iterable<string>): void {
    const watched = new Set(nodes);
    for (const node of [...this.#records.keys()]) {
      if (!watched.has(node)) this.#records.delete(node);
    }
    for (const node of watched) {
      if (!this.#records.has(node)) this.#records.set(node, fresh());
    }
  }

  /** Takes note of a ping of `node`. */
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

  /** The NATS server that a node was connected to, for one that has not answered yet. */
  place(node: string, server: string): void {
    const record = this.#records.get(node);
    if (record === undefined || record.server !== undefined) return;
    record.server = server;
    for (const onset of record.onsets) onset.server ??= server;
  }

  /** One of the NATS servers has gone, as the observer's own server says. */
  serverGone(at: number): void {
    this.#serversGone.push(at);
    if (this.#serversGone.length > MAX_ONSETS) this.#serversGone.shift();
  }

  /** The observer could not observe: all counts begin anew. */
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

  /** What is to be thought of `node` at the time `now`. */
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

  /** Beyond this from one ping to the next, the observer has not observed. */
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
