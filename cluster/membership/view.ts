/** Whether a member takes part in full, or is about to go. */
export type MemberStatus =
  /** It takes part. */
  | "up"
  /** It has said that it will go: it is to be given nothing more. */
  | "leaving";

/** What a node says of itself when it joins. */
export interface NodeDescription {
  /** The node. */
  readonly nodeId: string;
  /** Which life of the node: later lives compare as larger strings. */
  readonly incarnation: string;
  /** Whatever the node wants the others to know. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Its weight: of two members, the one with twice the capacity is given twice as much. */
  readonly capacity: number;
}

/** A node that is part of the cluster. */
export interface ClusterMember extends NodeDescription {
  /** Whether it takes part in full, or is about to go. */
  readonly status: MemberStatus;
}

/** How a member went. */
export type Departure =
  /** By itself. */
  | "left"
  /** Nobody listened any more on its subjects. */
  | "crashed"
  /** It did not answer, and its heartbeat has expired. */
  | "hung"
  /** A later life of the same node took its place. */
  | "replaced";

/** A member that has gone lately. */
export interface DepartedMember {
  /** The node. */
  readonly nodeId: string;
  /** The life that is over: it is never a member again. */
  readonly incarnation: string;
  /** How it went. */
  readonly how: Departure;
}

/**
 * Who is in the cluster, as all nodes see it in time. Views are never changed, each is followed
 * by one with a larger version.
 */
export interface ClusterView {
  /** Larger than that of every view before; 0 for the empty one that was never written. */
  readonly version: number;
  /** The members, in the order in which they joined: the oldest first. */
  readonly members: readonly ClusterMember[];
  /** The node that tells who has crashed and deals out the shards; `undefined` for the time being. */
  readonly coordinator: string | undefined;
  /** Who has gone lately, the last one at the end; at most 64. */
  readonly departed: readonly DepartedMember[];
}

/** What makes one view of another. */
export type ViewStep =
  /** A node comes; nothing where this life of it, or a later one, is or was a member. */
  | { readonly type: "join"; readonly node: NodeDescription }
  /** A member says that it will go. */
  | { readonly type: "retire"; readonly nodeId: string; readonly incarnation: string }
  /** A member goes; nothing where this life of it is no member. */
  | {
    readonly type: "depart";
    readonly nodeId: string;
    readonly incarnation: string;
    readonly how: Departure;
  }
  /** A member coordinates from now on. */
  | { readonly type: "coordinate"; readonly nodeId: string };

/** The departed that a view remembers. */
const MAX_DEPARTED = 64;

/** The view before anybody has joined. */
export const EMPTY_VIEW: ClusterView = Object.freeze({
  version: 0,
  members: Object.freeze([]),
  coordinator: undefined,
  departed: Object.freeze([]),
});

/** The member of that id; with `incarnation`, that life of it only. */
export function memberOf(
  view: ClusterView,
  nodeId: string,
  incarnation?: string,
): ClusterMember | undefined {
  return view.members.find((member) =>
    member.nodeId === nodeId && (incarnation === undefined || member.incarnation === incarnation)
  );
}

/** The view after `steps`, one version later; `view` itself where they change nothing. */
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
