import { isSameIncarnation, type NodeIncarnation } from "../incarnation.ts";
import type { FenceHolder } from "../../store/errors.ts";

/**
 * Where a process stands with one shard:
 * - `idle`: it does not have the shard, and does nothing about it;
 * - `reading`: it is to have it, and looks who holds its fence;
 * - `asking`: it has asked the holder to release it;
 * - `claiming`, `replaying`: it writes the fence; it catches up with all before its claim;
 * - `serving`: commands are handled;
 * - `draining`, `releasing`: it takes no commands any more, ends those that it has, then writes
 *   to the fence that the shard is free.
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

/** All that one process knows about one shard: plain data. */
export interface HandoffState {
  /** The process. */
  readonly self: NodeIncarnation;
  readonly phase: HandoffPhase;
  /** The newest map heard of, from the map itself or from a process that it gives the shard to. */
  readonly mapVersion: number;
  /** Whether that map gives the shard to this process. */
  readonly mine: boolean;
  /** Whether the process is on its way out, and takes no shard whatever a map says. */
  readonly leaving: boolean;
  /** Sequence of the fence whose holder was asked for its release, or 0; it is asked only once. */
  readonly asked: number;
  /** Sequence of this process's claim while it has one, else 0. */
  readonly claim: number;
}

/**
 * What a process learns. `read` or `unread`, `claimed` to `unclaimed`, `replayed` or `unreplayed`
 * and `released` to `unreleased` each follow on the effect that asked for them, once each.
 */
export type HandoffFact =
  /** A map came, in whatever order, and gives the shard to this process or does not. */
  | { readonly kind: "map"; readonly mapVersion: number; readonly mine: boolean }
  /** Another process, to which the map `mapVersion` gives the shard, asks for its release. */
  | { readonly kind: "asked"; readonly mapVersion: number }
  /** The process is to end. */
  | { readonly kind: "leave" }
  /** What the fence says: the answer to `read`. */
  | { readonly kind: "read"; readonly fence: FenceHolder | undefined }
  /** The fence could not be read. */
  | { readonly kind: "unread" }
  /**
   * What came of asking the holder of the fence at `sequence`: it does not have the shard any
   * more; it knows a newer map; or nothing came, for there is no such process any more, or the
   * deadline has passed.
   */
  | {
    readonly kind: "answered";
    readonly sequence: number;
    readonly answer: HandoffAnswer | "nothing";
  }
  /** The claim is stored at `sequence`. */
  | { readonly kind: "claimed"; readonly sequence: number }
  /** The claim is not stored, and never will be: the fence says otherwise. */
  | { readonly kind: "refused" }
  /** Whether the claim is stored could not be found out; it may be stored later. */
  | { readonly kind: "unclaimed" }
  /** The shard can be served: nothing that is known of it is older than the claim at `claim`. */
  | { readonly kind: "replayed"; readonly claim: number }
  /** That could not be reached. */
  | { readonly kind: "unreplayed"; readonly claim: number }
  /** No command of the shard is under way any more, no save without its outcome. */
  | { readonly kind: "drained"; readonly claim: number }
  /** A save that carried the claim at `claim` was refused, for the fence was written since. */
  | { readonly kind: "fenced"; readonly claim: number }
  /** The fence is not held by `claim` any more: it is released, or was taken. */
  | { readonly kind: "released" }
  /** Whether the release is stored could not be found out. */
  | { readonly kind: "unreleased" };

/** What a process that has asked for a release hears. */
export type HandoffAnswer = "released" | "newer";

/** What a process is to do next. */
export type HandoffEffect =
  /** Read the fence. */
  | { readonly kind: "read" }
  /** Ask the holder of the fence for its release, for this process has the shard by `mapVersion`. */
  | { readonly kind: "ask"; readonly holder: FenceHolder; readonly mapVersion: number }
  /**
   * Write the fence, by compare-and-set, over one of an older map, or of this process, or none.
   * A try that is left behind must not be able to overwrite what is written after it.
   */
  | { readonly kind: "claim"; readonly mapVersion: number }
  /** Forget what is known of the shard, so that it is read anew up to `claim` at least. */
  | { readonly kind: "replay"; readonly claim: number }
  /** Handle commands; each save carries the claim. */
  | { readonly kind: "serve"; readonly claim: number }
  /** Take no commands any more, and say when those under way have ended. */
  | { readonly kind: "drain"; readonly claim: number }
  /** Take no commands any more, and give up those under way: another process has the shard. */
  | { readonly kind: "stop"; readonly claim: number }
  /** Write to the fence that the shard is free, by compare-and-set on the claim. */
  | { readonly kind: "release"; readonly claim: number }
  /** Answer all who have asked for a release and wait. */
  | { readonly kind: "answer"; readonly answer: HandoffAnswer };

/** What a fact leads to. */
export interface HandoffStep {
  readonly state: HandoffState;
  /** In the order in which they are to be begun. */
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
 * replay, serve. It decides when; that nothing is written by two is not its doing, but that of
 * the claims which saves carry. Facts may come late, twice, out of order or not at all, and each
 * effect may fail: what is waited for and may not come needs a deadline of the caller's.
 *
 * - The fence is claimed only where it does not hold a newer map, nor the same one for another:
 *   a deposed process therefore claims again only under a newer map than its successor's.
 * - The holder found in the fence is asked first, once; the claim is made by force where it
 *   does not answer. It answers when it has drained and released, so nothing fails on the way.
 * - A claim or release whose outcome is unknown is settled by reading the fence, or by trying
 *   again: each is a compare-and-set, so of all tries at most one is stored.
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
      // While the release is written, its own outcome says the same.
      const isHit = fact.claim === state.claim && state.claim !== 0 && phase !== "releasing";
      return isHit ? lose(state, { kind: "stop", claim: state.claim }) : stay(state);
    }
    case "released":
      return phase === "releasing" ? lose(state) : stay(state);
    case "unreleased":
      return phase === "releasing" ? release(state) : stay(state);
  }
}

/** Acts on a change of what the process is to have; what it has begun to write is ended first. */
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

/** Somebody to whom a map gives the shard wants it; the map itself may come later. */
function asked(state: HandoffState, mapVersion: number): HandoffStep {
  if (mapVersion <= state.mapVersion && state.mine) {
    return stay(state, { kind: "answer", answer: "newer" });
  }
  const step = mapVersion > state.mapVersion
    ? follow({ ...state, mapVersion, mine: false })
    : stay(state);
  const hasNothing = ["idle", "reading", "asking"].includes(step.state.phase);
  if (!hasNothing) return step; // It is answered when the fence is released.
  return {
    state: step.state,
    effects: [...step.effects, { kind: "answer", answer: "released" }],
  };
}

/** Decides by what the fence says. */
function read(state: HandoffState, fence: FenceHolder | undefined): HandoffStep {
  const { self, mapVersion, mine } = state;
  if (!mine) return free(state);
  const isOthers = fence !== undefined && !isSameIncarnation(fence, self);
  const isNewer = fence !== undefined &&
    (fence.mapVersion > mapVersion || (fence.mapVersion === mapVersion && isOthers));
  // Whoever wrote that has heard of a newer map, which is on its way here too.
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

/** Has the claim, which it may have been too late for. */
function claimed(state: HandoffState): HandoffStep {
  if (!state.mine) return release(state);
  return to(state, "replaying", { kind: "replay", claim: state.claim });
}

function release(state: HandoffState): HandoffStep {
  return to(state, "releasing", { kind: "release", claim: state.claim });
}

/** The process does not have the shard any more, or could not get it. */
function lose(state: HandoffState, ...effects: HandoffEffect[]): HandoffStep {
  const step = free({ ...state, claim: 0 });
  return {
    state: step.state,
    effects: [...effects, { kind: "answer", answer: "released" }, ...step.effects],
  };
}

/** Without the shard: looks for it where it is to have it. */
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
