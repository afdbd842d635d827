import { messageOf } from "../../store/base/text.ts";
import { problemOf } from "../../adapters/http/problem.ts";
import { plainJson } from "./plain_json.ts";
import type { LiveStream } from "./streams.ts";
import type { LiveQuery } from "../views/live.ts";

/** A view that can be followed. */
export type LiveName = LiveQuery["views"][number];

/** How often followed views are looked at, in ms; half the time within which a change is to be seen. */
const EVERY = 500;

/** One follower, and the JSON that it has of each view. */
interface Follower {
  readonly stream: LiveStream;
  readonly seen: Map<LiveName, string>;
}

/** Looks at views for all who follow them, once for all. */
export class LiveViews {
  readonly #looks: Readonly<Record<LiveName, () => Promise<{ readonly at: string }>>>;
  readonly #followers = new Set<Follower>();
  readonly #under = new Map<LiveName, Promise<string>>();
  readonly #onError: (error: unknown) => void;
  /** The failure of each view at its last look, so that it is reported once. */
  readonly #troubles = new Map<LiveName, string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Looks by `looks`; `onError` gets their errors, each once. */
  constructor(
    looks: Readonly<Record<LiveName, () => Promise<{ readonly at: string }>>>,
    onError: (error: unknown) => void,
  ) {
    this.#looks = looks;
    this.#onError = onError;
  }

  /** Feeds a stream until it ends. */
  follow(stream: LiveStream, names: readonly LiveName[]): void {
    const follower = { stream, seen: new Map(names.map((name) => [name, ""])) };
    this.#followers.add(follower);
    stream.signal.addEventListener("abort", () => this.#forget(follower), { once: true });
    if (stream.signal.aborted) return this.#forget(follower);
    for (const name of names) this.#show(name, [follower]);
    if (this.#timer === undefined) this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(async () => {
      await this.#round();
      if (this.#followers.size > 0) this.#wait();
      else this.#timer = undefined;
    }, EVERY);
  }

  async #round(): Promise<void> {
    const followers = [...this.#followers];
    const names = new Set(followers.flatMap(({ seen }) => [...seen.keys()]));
    await Promise.all(
      [...names].map((name) => this.#show(name, followers.filter(({ seen }) => seen.has(name)))),
    );
  }

  /** Sends a view to those who have another one. */
  async #show(name: LiveName, followers: readonly Follower[]): Promise<void> {
    let [event, json] = [name as string, ""];
    try {
      json = await this.#look(name);
      this.#troubles.delete(name);
    } catch (error) {
      const { detail } = problemOf(error).details;
      if (this.#troubles.get(name) !== messageOf(error)) this.#onError(error);
      this.#troubles.set(name, messageOf(error));
      [event, json] = ["trouble", JSON.stringify({ view: name, detail })];
    }
    const facts = withoutTime(json);
    for (const { stream, seen } of followers) {
      if (seen.get(name) !== facts && stream.sendText(event, json)) seen.set(name, facts);
    }
  }

  /** A view as JSON; one look serves all who ask meanwhile. */
  #look(name: LiveName): Promise<string> {
    const under = this.#under.get(name);
    if (under !== undefined) return under;
    const look = this.#looks[name]().then((view) => plainJson(view));
    this.#under.set(name, look);
    const over = () => this.#under.delete(name);
    look.then(over, over);
    return look;
  }

  #forget(follower: Follower): void {
    this.#followers.delete(follower);
    if (this.#followers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** The JSON of a view without the time of the look, which differs each time. */
function withoutTime(json: string): string {
  return json.replace(/"at":"[^"]*"/, "");
}
