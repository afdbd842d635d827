import { isRecord, jsonIn } from "../base/json.ts";
import { describe } from "../base/token.ts";
import * as names from "../format/headers.ts";
import { FORMAT, HASH } from "../format/layout.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { originOf } from "../read/stream_check.ts";
import { shardOf } from "../actor.ts";
import type { ActorCheck } from "./actor_check.ts";
import type { CommitCheck } from "./commit_check.ts";
import type { FenceCheck } from "./fence_check.ts";
import type { Findings } from "./findings.ts";
import type { VerifySource } from "./source.ts";

/** The headers that this library writes, beside those of NATS. */
const OURS: ReadonlySet<string> = new Set([
  names.OP,
  names.ID,
  names.TYPE,
  names.VERSION,
  names.PREVIOUS,
  names.VERSIONS,
  names.SIZES,
  names.SCHEMA,
  names.COUNT,
  names.INDEX,
  names.COMMAND,
  names.FENCE,
]);

/** The checks that messages are handed to. */
export interface MessageChecks {
  readonly source: VerifySource;
  readonly findings: Findings;
  readonly actors: ActorCheck;
  readonly commits: CommitCheck;
  readonly fences: FenceCheck;
}

/** Hands each message of the stream to the rules for its kind. */
export class MessageCheck {
  readonly #checks: MessageChecks;
  readonly #prefix: string;

  /** Hands messages to `checks`. */
  constructor(checks: MessageChecks) {
    this.#checks = checks;
    const { genesis } = checks.source.layout;
    this.#prefix = genesis.slice(0, -"genesis".length);
  }

  /** Takes the next message of the stream. */
  async see(message: StoredMessage): Promise<void> {
    const { source: { layout, shards }, commits, actors, fences } = this.#checks;
    const { subject } = message;
    const actorId = layout.actorOf(subject);
    const isActors = actorId !== undefined && layout.event(actorId, shards) === subject;
    this.#checkHeaders(message);
    if (!isActors) {
      commits.see(message, undefined, undefined);
      await this.#seeOther(message);
      return;
    }
    const start = message.header("Nats-Batch-Id") === "" ? undefined : commits.batchStart;
    const run = await actors.see(message, actorId, start);
    commits.see(message, run, actorId);
    await fences.seeEvents(message, shardOf(actorId, shards), actorId);
  }

  /** Messages of no actor: what the stream is, who owns shards, what else commits need. */
  async #seeOther(message: StoredMessage): Promise<void> {
    const { source: { layout, shards }, fences } = this.#checks;
    const { subject, sequence, data } = message;
    if (subject === layout.genesis) return this.#checkGenesis(message);
    if (sequence === 1) {
      this.#checks.findings.add(
        "genesis",
        message,
        `the first message is on "${subject}", and ` +
          `not the genesis, on "${layout.genesis}"`,
      );
    }
    if (subject === layout.epoch) {
      if (!isRecord(jsonIn(data))) this.#foreign(message, "is no JSON object");
      return;
    }
    const unborn = layout.unbornActorOf(subject);
    if (unborn !== undefined && layout.unborn(unborn, shards) === subject) {
      if (data.length > 0) this.#foreign(message, "has a body");
      return;
    }
    const [kind = "", shard = ""] = subject.slice(this.#prefix.length).split(".");
    const number = /^\d{1,9}$/.test(shard) ? Number(shard) : NaN;
    if (number < shards && subject === layout.fence(number)) {
      return await fences.seeFence(message, number);
    }
    if (number < shards && subject === layout.commit(number)) {
      if (data.length > 0) this.#foreign(message, "has a body, and a marker has none");
      else if (message.header(names.EXPECT_SUBJECT) === "") {
        this.#foreign(message, "is a marker without a condition to carry");
      }
      return;
    }
    const why = kind === "event" || kind === "unborn"
      ? "is not the subject of any actor: its shard, category or actor is wrong"
      : "is not one that this library writes";
    this.#foreign(message, `is on a subject that ${why}`);
  }

  #checkGenesis(message: StoredMessage): void {
    const { source: { identity: whole, shards }, findings } = this.#checks;
    const identity = originOf(whole);
    if (message.sequence !== 1) {
      findings.add("genesis", message, `message ${message.sequence} is a second genesis`);
      return;
    }
    const value = jsonIn(message.data);
    const genesis: Record<string, unknown> = isRecord(value) ? value : {};
    const wrong = Object.entries({ format: FORMAT, shards, hash: HASH, identity })
      .filter(([name, value]) => genesis[name] !== value)
      .map(([name, value]) => `${name} ${say(genesis[name])} in place of ${say(value)}`);
    if (wrong.length === 0) return;
    findings.add("genesis", message, `the genesis message says ${wrong.join(", ")}`);
  }

  #checkHeaders(message: StoredMessage): void {
    const unknown = message.headerNames().filter((name) =>
      !OURS.has(name) && !name.startsWith("Nats-")
    );
    if (unknown.length === 0) return;
    const list = unknown.map((name) => `"${name}"`).join(", ");
    this.#foreign(message, `has headers that this version does not write: ${list}`);
  }

  #foreign(message: StoredMessage, what: string): void {
    const { sequence, subject } = message;
    const actorId = this.#checks.source.layout.actorOf(subject);
    const text = `message ${sequence} on ${describe(subject)} ${what}`;
    this.#checks.findings.add("foreign-message", { sequence, actorId }, text);
  }
}

function say(value: unknown): string {
  return value === undefined ? "(nothing)" : JSON.stringify(value).slice(0, 80);
}
