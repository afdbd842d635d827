import { tokenProblem } from "../../store/base/token.ts";
import { Refusal } from "./refusal.ts";

/** The fields of a request's body, each checked when it is asked for. */
export class Query {
  readonly #fields: Readonly<Record<string, unknown>>;

  /** Takes a body. */
  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  /** A text; `undefined` if it is left out. */
  text(name: string, most = 512): string | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || value.length > most) {
      throw refused(name, `a text of at most ${most} characters`);
    }
    return value === "" ? undefined : value;
  }

  /** A text that has to be there. */
  needed(name: string, most = 512): string {
    const value = this.text(name, most);
    if (value === undefined) throw refused(name, "a text, and has to be given");
    return value;
  }

  /** The id of an actor, or a name of something else that is stored as one token. */
  id(name: string): string {
    const value = this.needed(name);
    if (tokenProblem(value) !== undefined) throw refused(name, "an id that a store could have");
    return value;
  }

  /** A whole number from `least` on; `otherwise` if it is left out. */
  number<T>(name: string, otherwise: T, least = 0): number | T {
    const value = this.#at(name);
    if (value === undefined) return otherwise;
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw refused(name, `a whole number from ${least} on`);
    }
    return value as number;
  }

  /** The same, no more than `most`: what is over is taken down to it. */
  limit(otherwise: number, most: number, name = "limit"): number {
    return Math.min(most, this.number(name, otherwise, 1));
  }

  /** True or false. */
  flag(name: string): boolean {
    const value = this.#at(name) ?? false;
    if (typeof value !== "boolean") throw refused(name, "true or false");
    return value;
  }

  /** One of some words. */
  word<T extends string>(name: string, words: readonly T[], otherwise?: T): T {
    const value = this.#at(name) ?? otherwise;
    const word = words.find((it) => it === value);
    if (word === undefined) throw refused(name, `one of ${words.join(", ")}`);
    return word;
  }

  /** A list of texts; `undefined` if it is left out. */
  texts(name: string, most = 100): readonly string[] | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) && value.length <= most &&
      value.every((it) => typeof it === "string" && it.length <= 512);
    if (!isList) throw refused(name, `a list of at most ${most} texts`);
    return value;
  }

  #at(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] ?? undefined : undefined;
  }
}

function refused(name: string, wanted: string): Refusal {
  return new Refusal(400, `Cannot follow "${name}" of the body: it is not ${wanted}`);
}
