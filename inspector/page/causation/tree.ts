/** The causation tree: which nodes are shown, and where each is drawn. */
import type { CausationNode, CausationView } from "../answers.ts";

/** Nodes up to which all are open at first. */
const SMALL = 60;
/** Rows below the event that are open at first in a larger one. */
const ROWS = 16;
/** Effects of one cause that are shown at first, and with each "more". */
export const EFFECTS = 10;

/** A node and what follows from it. */
export interface Branch {
  readonly node: CausationNode;
  readonly parent: Branch | undefined;
  readonly effects: Branch[];
  /** Nodes below it. */
  below: number;
}

/** A whole answer as trees. */
export interface Tree {
  readonly roots: readonly Branch[];
  readonly byId: ReadonlyMap<string, Branch>;
}

/** Builds the trees of an answer; nodes stand behind their causes. */
export function treeOf({ nodes }: CausationView): Tree {
  const byId = new Map<string, Branch>();
  const roots: Branch[] = [];
  for (const node of nodes) {
    const parent = node.cause === undefined ? undefined : byId.get(node.cause);
    const branch: Branch = { node, parent, effects: [], below: node.omitted ?? 0 };
    byId.set(node.id, branch);
    if (parent === undefined) roots.push(branch);
    else parent.effects.push(branch);
    for (const above of causesOf(branch)) above.below += 1 + (node.omitted ?? 0);
  }
  return { roots, byId };
}

/** The causes of a branch, the nearest one first. */
export function* causesOf(branch: Branch): Generator<Branch> {
  for (let above = branch.parent; above !== undefined; above = above.parent) yield above;
}

/** The open branches, and how many effects of each are shown. */
export type Opened = ReadonlyMap<string, number>;

/** The branches that are open at first: all of a small tree, else the way to the event and some of its effects. */
export function openedAtFirst(tree: Tree, eventId: string): Opened {
  const opened = new Map<string, number>();
  if (tree.byId.size <= SMALL) {
    for (const [id, { effects }] of tree.byId) {
      if (effects.length > 0) opened.set(id, EFFECTS);
    }
  }
  const event = tree.byId.get(eventId);
  for (const above of event === undefined ? [] : causesOf(event)) {
    opened.set(above.node.id, EFFECTS);
  }
  let budget = ROWS;
  const queue = event === undefined ? [...tree.roots] : [event];
  for (let next = queue.shift(); next !== undefined && budget > 0; next = queue.shift()) {
    const shown = next.effects.slice(0, EFFECTS);
    if (shown.length === 0 || (shown.length > budget && budget < ROWS)) continue;
    opened.set(next.node.id, EFFECTS);
    budget -= shown.length;
    queue.push(...shown);
  }
  return opened;
}

/** A row of the drawing. */
export type Row =
  | { readonly kind: "node"; readonly branch: Branch; readonly x: number; readonly y: number }
  | {
    readonly kind: "more";
    readonly branch: Branch;
    readonly x: number;
    readonly y: number;
    /** Effects that are hidden, and those that the answer left out. */
    readonly hidden: number;
    readonly omitted: number;
  };

/** Where each shown node is drawn: causes left of effects, one effect below the other. */
export function rowsOf(tree: Tree, opened: Opened, eventId: string): Row[] {
  const rows: Row[] = [];
  let y = 0;
  const way = new Set<Branch>();
  const event = tree.byId.get(eventId);
  if (event !== undefined) way.add(event);
  for (const above of event === undefined ? [] : causesOf(event)) way.add(above);
  const place = (branch: Branch, x: number): void => {
    rows.push({ kind: "node", branch, x, y });
    const wanted = opened.get(branch.node.id);
    if (wanted === undefined) {
      y++;
      return;
    }
    const { effects } = branch;
    const shown = effects.filter((effect, index) => index < wanted || way.has(effect));
    const [hidden, omitted] = [effects.length - shown.length, branch.node.omitted ?? 0];
    for (const effect of shown) place(effect, x + 1);
    if (hidden + omitted > 0) {
      rows.push({ kind: "more", branch, x: x + 1, y, hidden, omitted });
      y++;
    } else if (shown.length === 0) y++;
  };
  for (const root of tree.roots) place(root, 0);
  return rows;
}
