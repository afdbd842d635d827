/** One thing that can happen next. */
export interface Move<World> {
  /** The step, for people. */
  readonly label: string;
  /** The world after it; a text names the broken rule. */
  readonly to: World | string;
  /** Whether it happens sooner or later if nothing goes wrong and nobody wants anything. */
  readonly isProgress: boolean;
}

/** A world of which every state can be visited. */
export interface Model<World> {
  readonly initial: World;
  /** The same text for worlds that are the same, and only for them. */
  key(world: World): string;
  moves(world: World): readonly Move<World>[];
  /** Whether things are as they should be in the end. */
  isGood(world: World): boolean;
}

/** The result of visiting every state. */
export interface Exploration {
  readonly states: number;
  readonly moves: number;
  /** How often each kind of move was made: its label without the names and numbers. */
  readonly kinds: ReadonlyMap<string, number>;
  /** The first rule found broken, and the shortest way there. */
  readonly violation: Violation | undefined;
}

/** A rule that is broken. */
export interface Violation {
  readonly rule: string;
  /** The steps, one by one, from the beginning. */
  readonly trace: readonly string[];
}

/**
 * Visits all states that can be reached, the nearest first, until a rule is broken. Then looks
 * for states from which no progress leads to a good one.
 *
 * @throws {Error} There are more than `limit` states.
 */
export function explore<World>(model: Model<World>, limit = 5_000_000): Exploration {
  const indexes = new Map<string, number>([[model.key(model.initial), 0]]);
  /** States not looked at yet; the others are dropped. */
  const worlds: (World | undefined)[] = [model.initial];
  const cameFrom: number[] = [-1];
  const cameBy: number[] = [-1];
  const good: number[] = model.isGood(model.initial) ? [0] : [];
  const progress: [from: number[], to: number[]] = [[], []];
  const labels = new Map<string, number>();
  let moves = 0;
  const end = (violation: Violation | undefined): Exploration => ({
    states: worlds.length,
    moves,
    kinds: kindsOf(labels),
    violation,
  });

  for (let from = 0; from < worlds.length; from++) {
    const world = worlds[from]!;
    worlds[from] = undefined;
    for (const [at, move] of model.moves(world).entries()) {
      moves++;
      labels.set(move.label, (labels.get(move.label) ?? 0) + 1);
      if (typeof move.to === "string") {
        const trace = [...traceTo(model, from, cameFrom, cameBy), move.label];
        return end({ rule: move.to, trace });
      }
      const key = model.key(move.to);
      let to = indexes.get(key);
      if (to === undefined) {
        to = worlds.push(move.to) - 1;
        if (to >= limit) throw new Error(`Cannot visit every state: there are over ${limit}`);
        indexes.set(key, to);
        cameFrom.push(from);
        cameBy.push(at);
        if (model.isGood(move.to)) good.push(to);
      }
      if (move.isProgress) {
        progress[0].push(from);
        progress[1].push(to);
      }
    }
  }
  const stuck = firstWithoutWay(worlds.length, good, progress);
  if (stuck === undefined) return end(undefined);
  return end({
    rule: "nothing leads from here to where it should",
    trace: traceTo(model, stuck, cameFrom, cameBy),
  });
}

/** The first state from which none of `goals` can be reached. */
function firstWithoutWay(
  count: number,
  goals: readonly number[],
  [from, to]: readonly [from: readonly number[], to: readonly number[]],
): number | undefined {
  // The moves that lead to each state, as one list cut into pieces.
  const starts = new Uint32Array(count + 1);
  for (const state of to) starts[state + 1]!++;
  for (let at = 0; at < count; at++) starts[at + 1]! += starts[at]!;
  const next = starts.slice();
  const sources = new Uint32Array(from.length);
  for (const [at, state] of to.entries()) sources[next[state]!++] = from[at]!;

  const canReach = new Uint8Array(count);
  const open = [...goals];
  for (const goal of goals) canReach[goal] = 1;
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (let at = starts[state]!; at < starts[state + 1]!; at++) {
      const source = sources[at]!;
      if (canReach[source]) continue;
      canReach[source] = 1;
      open.push(source);
    }
  }
  const stuck = canReach.indexOf(0);
  return stuck === -1 ? undefined : stuck;
}

/** Goes the way again, for the labels. */
function traceTo<World>(
  model: Model<World>,
  state: number,
  cameFrom: readonly number[],
  cameBy: readonly number[],
): string[] {
  const way: number[] = [];
  for (let at = state; at !== 0; at = cameFrom[at]!) way.unshift(cameBy[at]!);
  const trace: string[] = [];
  let world = model.initial;
  for (const step of way) {
    const move = model.moves(world)[step]!;
    trace.push(move.label);
    world = move.to as World;
  }
  return trace;
}

function kindsOf(labels: ReadonlyMap<string, number>): Map<string, number> {
  const kinds = new Map<string, number>();
  for (const [label, count] of labels) {
    const kind = label.replace(/\b([A-Z]\d?|\d+)\b/g, "_");
    kinds.set(kind, (kinds.get(kind) ?? 0) + count);
  }
  return kinds;
}
