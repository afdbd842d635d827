/** Whether a member takes part in full, or is about to go. */
export type MemberStatus =
  /** It takes part. */
  | "up"
  /** It has announced that it will leave: it is given nothing more. */
  | "leaving";

/** A node's own description, from when it joins. */
export interface NodeDescription {
  /** The node. */
  readonly nodeId: string;
  /** Its incarnation: later ones compare as larger strings. */
  readonly incarnation: string;
  /** The node's data for the others. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Its weight: of two members, the one with twice the capacity is given twice as much. */
  readonly capacity: number;
}

/** A node that is part of the cluster. */
export interface ClusterMember extends NodeDescription {
  /** Whether it takes part in full, or is about to go. */
  readonly status: MemberStatus;
}

/** How a member left. */
export type Departure =
  /** By itself. */
  | "left"
  /** Nothing listened any more on its subjects. */
  | "crashed"
  /** It did not answer, and its heartbeat has expired. */
  | "hung"
  /** A later incarnation of the same node took its place. */
  | "replaced";

/** A member that has left lately. */
export interface DepartedMember {
  /** The node. */
  readonly nodeId: string;
  /** The incarnation that is over: it is never a member again. */
  readonly incarnation: string;
  /** How it left. */
  readonly how: Departure;
}

/**
 * The members of the cluster, as all nodes see it in time. A view never changes; the next one has a
 * larger version.
 */
export interface ClusterView {
  /** Larger than that of every view before; 0 for the empty one that was never written. */
  readonly version: number;
  /** The members, in the order in which they joined: the oldest first. */
  readonly members: readonly ClusterMember[];
  /**
   * The node that decides which nodes have crashed and assigns the shards; `undefined` for the time
   * being.
   */
  readonly coordinator: string | undefined;
  /** Members that have left lately, the last one at the end; at most 64. */
  readonly departed: readonly DepartedMember[];
}

/** A step from one view to the next. */
export type ViewStep =
  /** A node joins; changes nothing if this incarnation, or a later one, is or was a member. */
  | { readonly type: "join"; readonly node: NodeDescription }
  /** A member announces that it will leave. */
  | { readonly type: "retire"; readonly nodeId: string; readonly incarnation: string }
  /** A member leaves; changes nothing if this incarnation is no member. */
  | {
    readonly type: "depart";
    readonly nodeId: string;
    readonly incarnation: string;
    readonly how: Departure;
  }
  /** A member coordinates from now on. */
  | { readonly type: "coordinate"; readonly nodeId: string };

/** How many departed members a view remembers. */
const MAX_DEPARTED = 64;

/** The view before any node has joined. */
export const EMPTY_VIEW: ClusterView = /* @__PURE__ */ Object.freeze({
  version: 0,
  members: Object.freeze([]),
  coordinator: undefined,
  departed: Object.freeze([]),
});

/** The member of that id; with `incarnation`, only if it has that one. */
export function memberOf(
  view: ClusterView,
  nodeId: string,
  incarnation?: string,
): ClusterMember | undefined {
  return view.members.find((member) =>
    member.nodeId === nodeId && (incarnation === undefined || member.incarnation === incarnation)
  );
}

/** The view after `steps`, one version later; `view` itself if they change nothing. */
export function nextView(view: ClusterView, steps: Iterable<ViewStep>): ClusterView {
  let next: ClusterView = view;
  for (const step of steps) next = take(next, step);
  if (next === view) return view;
  return frozen({ ...next, version: view.version + 1 });
}

function take(view: ClusterView, step: ViewStep): ClusterView {
  switch (step.type) {
    case "join":
      return join(view, step.node);
    case "retire": {
      const leaving = memberOf(view, step.nodeId, step.incarnation);
      if (leaving === undefined || leaving.status === "leaving") return view;
      const members = view.members.map((member) =>
        member === leaving ? { ...member, status: "leaving" as const } : member
      );
      return { ...view, members };
    }
    case "depart":
      return depart(view, step);
    case "coordinate":
      return view.coordinator === step.nodeId || memberOf(view, step.nodeId) === undefined
        ? view
        : { ...view, coordinator: step.nodeId };
  }
}

function join(view: ClusterView, node: NodeDescription): ClusterView {
  const { nodeId, incarnation, metadata, capacity } = node;
  const isOver = [...view.members, ...view.departed].some((other) =>
    other.nodeId === nodeId && other.incarnation >= incarnation
  );
  if (isOver) return view;
  const earlier = memberOf(view, nodeId);
  const rest = earlier === undefined ? view : depart(view, { ...earlier, how: "replaced" });
  const member: ClusterMember = { nodeId, incarnation, metadata, capacity, status: "up" };
  return {
    ...rest,
    members: [...rest.members, member],
    coordinator: view.coordinator ?? (view.members.length === 0 ? nodeId : undefined),
  };
}

function depart(view: ClusterView, { nodeId, incarnation, how }: DepartedMember): ClusterView {
  const going = memberOf(view, nodeId, incarnation);
  if (going === undefined) return view;
  return {
    ...view,
    members: view.members.filter((member) => member !== going),
    coordinator: view.coordinator === nodeId ? undefined : view.coordinator,
    departed: [...view.departed, { nodeId, incarnation, how }].slice(-MAX_DEPARTED),
  };
}

/** A copy that nobody can change. */
export function frozen(view: ClusterView): ClusterView {
  const { version, coordinator } = view;
  const members = view.members.map(({ nodeId, incarnation, metadata, capacity, status }) =>
    Object.freeze({
      nodeId,
      incarnation,
      metadata: Object.freeze({ ...metadata }),
      capacity,
      status,
    })
  );
  const departed = view.departed.map(({ nodeId, incarnation, how }) =>
    Object.freeze({ nodeId, incarnation, how })
  );
  return Object.freeze({
    version,
    members: Object.freeze(members),
    coordinator,
    departed: Object.freeze(departed),
  });
}
