import { encodeJson, isRecord, jsonIn } from "../../store/base/json.ts";
import { type ClusterView, frozen, type NodeDescription, type ViewStep } from "./view.ts";
import { MAX_STORED_VERSION } from "../stored_format.ts";
import { describe } from "../../store/base/token.ts";

/** The version of the form in which views are stored. */
export const VIEW_FORMAT = 1;

/** Encodes a view for the bucket; `writer` makes it unlike that of any other process. */
export function encodeView(view: ClusterView, writer: string): Uint8Array {
  return encodeJson({ format: VIEW_FORMAT, ...view, writer });
}

/**
 * The view that {@linkcode encodeView} encoded.
 *
 * @throws {TypeError} It is no view, or one of a later format.
 */
export function decodeView(body: Uint8Array): ClusterView {
  const stored = jsonIn(body);
  const problem = viewProblem(stored);
  if (problem !== undefined) throw new TypeError(`Cannot read the view of the cluster: ${problem}`);
  const { version, members, coordinator, departed } = stored as unknown as ClusterView;
  return frozen({ version, members, coordinator, departed });
}

/** Encodes a node's request for a step in the view that the bucket of `origin` holds. */
export function encodeStep(step: ViewStep, origin: string): Uint8Array {
  return encodeJson({ ...step, origin });
}

/** The origin of the bucket that a request is about; `undefined` if it names none. */
export function originIn(body: Uint8Array): unknown {
  const step = jsonIn(body);
  return isRecord(step) ? step.origin : undefined;
}

/** The requested step; `undefined` if it is none that a node may ask for. */
export function decodeStep(body: Uint8Array): ViewStep | undefined {
  const step = jsonIn(body);
  if (!isRecord(step)) return undefined;
  const { type, node, nodeId, incarnation, how } = step;
  if (type === "join" && nodeProblem(node) === undefined) {
    return { type, node: node as unknown as NodeDescription };
  }
  if (!isText(nodeId) || !isText(incarnation)) return undefined;
  if (type === "retire") return { type, nodeId, incarnation };
  return type === "depart" && how === "left" ? { type, nodeId, incarnation, how } : undefined;
}

/** Why `node` cannot join, or `undefined`. */
export function nodeProblem(node: unknown): string | undefined {
  if (!isRecord(node)) return `a member is ${describe(node)}`;
  const { nodeId, incarnation, metadata, capacity } = node as Partial<NodeDescription>;
  if (!isText(nodeId)) return `the id of a member is ${describe(nodeId)}`;
  const name = `member ${describe(nodeId)}`;
  if (!isText(incarnation)) return `the incarnation of ${name} is ${describe(incarnation)}`;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    return `the metadata of ${name} are not strings by name`;
  }
  if (typeof capacity !== "number" || !Number.isFinite(capacity) || capacity < 0) {
    return `the capacity of ${name} is not 0 or more`;
  }
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function viewProblem(stored: unknown): string | undefined {
  if (!isRecord(stored)) return "it is no JSON object";
  const { format, version, members, coordinator, departed } = stored;
  if (format !== VIEW_FORMAT) {
    return `its format is ${JSON.stringify(format)}, and ${VIEW_FORMAT} is what this version reads`;
  }
  const isVersion = Number.isSafeInteger(version) && (version as number) >= 1 &&
    (version as number) < MAX_STORED_VERSION;
  if (!isVersion) {
    return `its version is ${JSON.stringify(version)}`;
  }
  if (!Array.isArray(members)) return "it has no list of members";
  const ids = new Set<unknown>();
  for (const member of members) {
    const problem = nodeProblem(member);
    if (problem !== undefined) return problem;
    const { nodeId, status } = member;
    if (status !== "up" && status !== "leaving") return `the status of "${nodeId}" is unknown`;
    if (ids.has(nodeId)) return `it has "${nodeId}" twice`;
    ids.add(nodeId);
  }
  if (coordinator !== undefined && !ids.has(coordinator)) {
    return `its coordinator ${describe(coordinator)} is no member`;
  }
  if (!Array.isArray(departed) || !departed.every(isDeparted)) {
    return "its list of departed members is impossible";
  }
  return undefined;
}

function isDeparted(entry: unknown): boolean {
  return isRecord(entry) && isText(entry.nodeId) && isText(entry.incarnation) &&
    ["left", "crashed", "hung", "replaced"].includes(entry.how as string);
}
