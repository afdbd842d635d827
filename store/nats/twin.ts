import { headers, type Msg } from "@nats-io/nats-core";
import { isRecord, jsonIn } from "../base/json.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { StreamConfigError } from "../errors.ts";
import { EXPECT, EXPECT_SUBJECT } from "../format/headers.ts";
import { RequestError } from "./request_error.ts";
import type { StreamApi, StreamNames } from "./stream_api.ts";

// Servers with a JetStream each, joined by leaf nodes, answer the API for their own JetStream only,
// and yet hear what is published on all of them: two streams may store the same subjects, and each
// accepts another event at one version.

/** How long to wait for the answer of one more stream on opening, in ms. */
const TWIN = 500;
/** How long to wait for one more acknowledgement, in ms. */
const PROOF = 1_000;
/** How often a proof is looked for at most, in ms. */
const RARELY = 10_000;

/**
 * How many streams answer a publish on `subject` which none of them can store; counts to two. That
 * of another JetStream hears it too, though its API is out of reach.
 */
export async function answersTo(api: StreamApi<StreamNames>, subject: string): Promise<number> {
  const impossible = headers();
  impossible.set(EXPECT, String(Number.MAX_SAFE_INTEGER));
  let answers = 0;
  try {
    await api.requests.collect(subject, "", TWIN, () => ++answers > 1, impossible);
  } catch (error) {
    // Nobody else answers, or this user may not publish.
    if (!(error instanceof RequestError)) throw error;
  }
  return answers;
}

/** The error if a stream cannot be opened because another one has its `subject`. */
export function twinError(
  { layout: { stream } }: StreamApi<StreamNames>,
  subject: string,
): StreamConfigError {
  return new StreamConfigError(stream, [
    `another stream has the subject "${subject}", in a JetStream beside that of this server: ` +
    "name the domain of the one that is meant",
  ]);
}

/** The reason to publish nothing more: another stream stores it, too. */
export class TwinError extends Error {
  override readonly name = "TwinError";
}

/** A message that a stream takes without harm, and says that it has. */
export interface TwinMarker {
  /** A subject for messages without content. */
  readonly subject: string;
  /** The subject of the stream's first message: that it is there still is the marker's condition. */
  readonly first: string;
}

/** Notices that another stream stores what is published to that of `api`. */
export class TwinWatch {
  readonly #api: StreamApi<StreamNames>;
  readonly #marker: TwinMarker | undefined;
  #askedAt = -Infinity;
  /** The finding, and whether it was proved by acknowledgements alone. */
  #found: { readonly error: Error; readonly isByAcks: boolean } | undefined;

  /**
   * @param marker What is stored to be sure: a second answer may be that of a leader that was
   * deposed, or a message that came twice; two acknowledgements are of two streams.
   */
  constructor(api: StreamApi<StreamNames>, marker?: TwinMarker) {
    this.#api = api;
    this.#marker = marker;
    api.requests.onStray((answer) => {
      // Acknowledgements have no headers; late answers to reads do.
      if (answer.headers === undefined && this.isOwn(answer)) this.#suspect(answer);
    });
  }

  /**
   * The reason to publish nothing more; `undefined` as long as the stream is alone. One that
   * acknowledgements have proved is looked for again, as a network may have doubled them.
   */
  get found(): Error | undefined {
    const isDue = performance.now() - this.#askedAt >= PROOF;
    if (this.#found?.isByAcks === true && isDue) this.#prove(this.#marker!);
    return this.#found?.error;
  }

  /**
   * Whether an answer to a publish may be of this stream. An acknowledgement names the domain of
   * its stream; that of another domain is none, and shows that there are two.
   */
  readonly isOwn = ({ data }: Msg): boolean => {
    const { domain: own } = this.#api;
    if (own === undefined || (own === "" && !decodeUtf8(data).includes('"domain"'))) return true;
    const ack = jsonIn(data);
    if (!isRecord(ack) || ack.error !== undefined || typeof ack.stream !== "string") return true;
    const domain = typeof ack.domain === "string" ? ack.domain : "";
    if (domain !== own) this.#find(`a stream "${ack.stream}" ${inDomain(domain)}`, false);
    return domain === own;
  };

  /** Looks for a proof if `answer` is the second one to a publish. */
  #suspect({ data }: Msg): void {
    const answer = jsonIn(data);
    const isAnswer = isRecord(answer) && answer.stream === this.#api.layout.stream &&
      "seq" in answer;
    const isRare = performance.now() - this.#askedAt >= RARELY;
    if (isAnswer && isRare && this.#marker !== undefined) this.#prove(this.#marker);
  }

  /** Stores a marker, and finds another stream if it is acknowledged twice. */
  #prove({ subject, first }: TwinMarker): void {
    this.#askedAt = performance.now();
    let stored = 0;
    const take = (message: Msg) => {
      const ack = jsonIn(message.data);
      // A message that comes twice is stored once by a stream, and by two of them twice.
      if (!isRecord(ack) || ack.error !== undefined || ack.duplicate === true) return false;
      return ++stored > 1;
    };
    const condition = headers();
    condition.set("Nats-Msg-Id", crypto.randomUUID());
    condition.set(EXPECT_SUBJECT, first);
    condition.set(EXPECT, "1");
    this.#api.requests.collect(subject, "", PROOF, take, condition).then(
      () => this.#find("another stream", true),
      () => {
        // One answer, or none: there is no proof.
        if (stored === 1 && this.#found?.isByAcks === true) this.#found = undefined;
      },
    );
  }

  #find(what: string, isByAcks: boolean): void {
    const { domain = "", layout: { stream } } = this.#api;
    const error = new TwinError(
      `${what} stores what is published to "${stream}" ${inDomain(domain)} too: only one stream ` +
        "may have its subjects",
    );
    this.#found ??= { error, isByAcks };
  }
}

function inDomain(domain: string): string {
  return domain === "" ? "without a domain" : `of domain "${domain}"`;
}
