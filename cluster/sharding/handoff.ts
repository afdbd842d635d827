import { isSameIncarnation, type NodeIncarnation } from "../incarnation.ts";
import type { FenceHolder } from "../../store/errors.ts";

/**
 * The phase of a process with one shard:
 * - `idle`: it does not have the shard, and does nothing about it;
 * - `reading`: it should have the shard, and reads who holds its fence;
 * - `asking`: it has asked the holder to release it;
 * - `claiming`, `replaying`: it writes the fence; it catches up with all before its claim;
 * - `serving`: it handles commands;
 * - `draining`, `releasing`: it takes no more commands, finishes those that it has, then writes to
 *   the fence that the shard is free.
 */
export type HandoffPhase =
  | "idle"
  | "reading"
  | "asking"
  | "claiming"
  | "replaying"
  | "serving"
  | "draining"
  | "releasing";

/** The knowledge of one process about one shard: plain data. */
export interface HandoffState {
  /** The process. */
  readonly self: NodeIncarnation;
  readonly phase: HandoffPhase;
  /** The newest map heard of, from the map itself or from a process that it gives the shard to. */
  readonly mapVersion: number;
  /** Whether that map gives the shard to this process. */
  readonly mine: boolean;
  /** Whether the process is about to end, and takes no shard whatever a map says. */
  readonly leaving: boolean;
  /** Sequence of the fence whose holder was asked for its release, or 0; it is asked only once. */
  readonly asked: number;
  /** Sequence of this process's claim while it has one, else 0. */
  readonly claim: number;
}

/**
 * A fact that a process learns. `read` or `unread`, `claimed` to `unclaimed`, `replayed` or
 * `unreplayed` and `released` to `unreleased` each follow on the effect that asked for them, once
 * each.
 */
export type HandoffFact =
  /** A map came, in whatever order, that gives the shard to this process or to another. */
  | { readonly kind: "map"; readonly mapVersion: number; readonly mine: boolean }
  /** Another process, to which the map `mapVersion` gives the shard, asks for its release. */
  | { readonly kind: "asked"; readonly mapVersion: number }
  /** The process should end. */
  | { readonly kind: "leave" }
  /** The content of the fence: the answer to `read`. */
  | { readonly kind: "read"; readonly fence: FenceHolder | undefined }
  /** The fence could not be read. */
  | { readonly kind: "unread" }
  /**
   * The result of asking the holder of the fence at `sequence`: it no longer has the shard; it
   * knows a newer map; or nothing came, as the process is gone or the deadline has passed.
   */
  | {
    readonly kind: "answered";
    readonly sequence: number;
    readonly answer: HandoffAnswer | "nothing";
  }
  /** The claim is stored at `sequence`. */
  | { readonly kind: "claimed"; readonly sequence: number }
  /** The claim is not stored, and never will be: the fence shows another holder. */
  | { readonly kind: "refused" }
  /** It is unknown whether the claim is stored; it may still be stored later. */
  | { readonly kind: "unclaimed" }
  /** The shard can be served: all that is known of it is as new as the claim at `claim`. */
  | { readonly kind: "replayed"; readonly claim: number }
  /** The replay failed. */
  | { readonly kind: "unreplayed"; readonly claim: number }
  /** No command of the shard is under way any more, and no save without its outcome. */
  | { readonly kind: "drained"; readonly claim: number }
  /** A save that carried the claim at `claim` was refused, as the fence was written since. */
  | { readonly kind: "fenced"; readonly claim: number }
  /** The fence no longer belongs to `claim`: it was released or taken. */
  | { readonly kind: "released" }
  /** It is unknown whether the release is stored. */
  | { readonly kind: "unreleased" };

/** The answer to a process that has asked for a release. */
export type HandoffAnswer = "released" | "newer";

/** The next thing for a process to do. */
export type HandoffEffect =
  /** Read the fence. */
  | { readonly kind: "read" }
  /** Ask the holder of the fence for its release, as `mapVersion` gives this process the shard. */
  | { readonly kind: "ask"; readonly holder: FenceHolder; readonly mapVersion: number }
  /**
   * Write the fence, by compare-and-set, over one of an older map, or of this process, or none. An
   * abandoned attempt must not be able to overwrite what is written after it.
   */
  | { readonly kind: "claim"; readonly mapVersion: number }
  /** Forget what is known of the shard, so that it is read again up to `claim` at least. */
  | { readonly kind: "replay"; readonly claim: number }
  /** Handle commands; each save carries the claim. */
  | { readonly kind: "serve"; readonly claim: number }
  /** Take no more commands, and report when those under way have ended. */
  | { readonly kind: "drain"; readonly claim: number }
  /** Take no more commands, and give up those under way: another process has the shard. */
  | { readonly kind: "stop"; readonly claim: number }
  /** Write to the fence that the shard is free, by compare-and-set on the claim. */
  | { readonly kind: "release"; readonly claim: number }
  /** Answer all processes that have asked for a release and wait. */
  | { readonly kind: "answer"; readonly answer: HandoffAnswer };

/** The result of a fact. */
export interface HandoffStep {
  readonly state: HandoffState;
  /** In the order in which to begin them. */
  readonly effects: readonly HandoffEffect[];
}

/** A process that has not heard of any map yet. */
export function beginHandoff(self: NodeIncarnation): HandoffState {
  return {
    self,
    phase: "idle",
    mapVersion: 0,
    mine: false,
    leaving: false,
    asked: 0,
    claim: 0,
  };
}

/**
 * How a shard changes hands, seen from one process: stop intake, drain, release the fence; claim,
 * replay, serve. This decides when; the claims that saves carry are what keeps two processes from
 * writing. Facts may come late, twice, out of order or not at all, and each effect may fail: the
 * caller sets a deadline for whatever may never come.
 *
 * - The fence is claimed only if it holds no newer map, and not the same map for another process:
 *   so a deposed process claims again only under a newer map than its successor's.
 * - The holder found in the fence is asked first, once; if it does not answer, the claim is made by
 *   force. It answers when it has drained and released, so nothing fails on the way.
 * - A claim or release whose outcome is unknown is settled by reading the fence, or by another
 *   attempt: each is a compare-and-set, so at most one of all attempts is stored.
 */
export function handoff(state: HandoffState, fact: HandoffFact): HandoffStep {
  const { phase } = state;
  switch (fact.kind) {
    case "map":
      if (fact.mapVersion <= state.mapVersion) return stay(state);
      return follow({
        ...state,
        mapVersion: fact.mapVersion,
        mine: fact.mine && !state.leaving,
      });
    case "leave":
      return follow({ ...state, mine: false, leaving: true });
    case "asked":
      return asked(state, fact.mapVersion);
    case "read":
      return phase === "reading" ? read(state, fact.fence) : stay(state);
    case "unread":
      return phase === "reading" ? free(state) : stay(state);
    case "answered":
      if (phase !== "asking" || fact.sequence !== state.asked) return stay(state);
      if (fact.answer === "newer") return stay({ ...state, phase: "idle" });
      return to(state, "reading", { kind: "read" });
    case "claimed":
      if (phase !== "claiming") return stay(state);
      return claimed({ ...state, asked: 0, claim: fact.sequence });
    case "refused":
    case "unclaimed":
      return phase === "claiming" ? lose(state) : stay(state);
    case "replayed":
      if (phase !== "replaying" || fact.claim !== state.claim) return stay(state);
      return to(state, "serving", { kind: "serve", claim: state.claim });
    case "unreplayed":
      if (phase !== "replaying" || fact.claim !== state.claim) return stay(state);
      return to(state, "replaying", { kind: "replay", claim: state.claim });
    case "drained":
      if (phase !== "draining" || fact.claim !== state.claim) return stay(state);
      return release(state);
    case "fenced": {
      // While the release is being written, its own outcome reports the same.
      const isHit = fact.claim === state.claim && state.claim !== 0 && phase !== "releasing";
      return isHit ? lose(state, { kind: "stop", claim: state.claim }) : stay(state);
    }
    case "released":
      return phase === "releasing" ? lose(state) : stay(state);
    case "unreleased":
      return phase === "releasing" ? release(state) : stay(state);
  }
}

/** Acts on a change of what the process should have; ends first what it has begun to write. */
function follow(state: HandoffState): HandoffStep {
  const { phase, mine, claim } = state;
  if (mine) return phase === "idle" ? free(state) : stay(state);
  switch (phase) {
    case "asking":
      return free(state);
    case "replaying":
      return release(state);
    case "serving":
      return to(state, "draining", { kind: "drain", claim });
    default:
      return stay(state);
  }
}

/** A process that a map gives the shard to wants it; the map itself may come later. */
function asked(state: HandoffState, mapVersion: number): HandoffStep {
  if (mapVersion <= state.mapVersion && state.mine) {
    return stay(state, { kind: "answer", answer: "newer" });
  }
  const step = mapVersion > state.mapVersion
    ? follow({ ...state, mapVersion, mine: false })
    : stay(state);
  const hasNothing = ["idle", "reading", "asking"].includes(step.state.phase);
  if (!hasNothing) return step; // The answer follows when the fence is released.
  return {
    state: step.state,
    effects: [...step.effects, { kind: "answer", answer: "released" }],
  };
}

/** Decides by the content of the fence. */
function read(state: HandoffState, fence: FenceHolder | undefined): HandoffStep {
  const { self, mapVersion, mine } = state;
  if (!mine) return free(state);
  const isOthers = fence !== undefined && !isSameIncarnation(fence, self);
  const isNewer = fence !== undefined &&
    (fence.mapVersion > mapVersion || (fence.mapVersion === mapVersion && isOthers));
  // The writer has heard of a newer map, which is on its way here too.
  if (isNewer) return stay({ ...state, phase: "idle" });
  if (isOthers && fence.state === "claimed" && fence.sequence !== state.asked) {
    return to({ ...state, asked: fence.sequence }, "asking", {
      kind: "ask",
      holder: fence,
      mapVersion,
    });
  }
  return to(state, "claiming", { kind: "claim", mapVersion });
}

/** The claim is stored, perhaps too late. */
function claimed(state: HandoffState): HandoffStep {
  if (!state.mine) return release(state);
  return to(state, "replaying", { kind: "replay", claim: state.claim });
}

function release(state: HandoffState): HandoffStep {
  return to(state, "releasing", { kind: "release", claim: state.claim });
}

/** The process no longer has the shard, or could not get it. */
function lose(state: HandoffState, ...effects: HandoffEffect[]): HandoffStep {
  const step = free({ ...state, claim: 0 });
  return {
    state: step.state,
    effects: [...effects, { kind: "answer", answer: "released" }, ...step.effects],
  };
}

/** Without the shard: looks for it if the process should have it. */
function free(state: HandoffState): HandoffStep {
  return state.mine
    ? to(state, "reading", { kind: "read" })
    : stay({ ...state, phase: "idle", asked: 0 });
}

function to(state: HandoffState, phase: HandoffPhase, effect: HandoffEffect): HandoffStep {
  return { state: { ...state, phase }, effects: [effect] };
}

function stay(state: HandoffState, ...effects: HandoffEffect[]): HandoffStep {
  return { state, effects };
}
