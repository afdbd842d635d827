/** One run of a node's process: a node that comes back is another incarnation. */
export interface NodeIncarnation {
  /** The node. */
  readonly nodeId: string;
  /** Which run of the node. */
  readonly incarnation: string;
}

/** Whether both are the same incarnation, or both nobody. */
export function isSameIncarnation(
  one: NodeIncarnation | undefined,
  other: NodeIncarnation | undefined,
): boolean {
  return one === other ||
    (one !== undefined && one.nodeId === other?.nodeId && one.incarnation === other.incarnation);
}

/** Names the incarnation among others, as a key of maps and sets. */
export function incarnationKey({ nodeId, incarnation }: NodeIncarnation): string {
  return JSON.stringify([nodeId, incarnation]);
}
