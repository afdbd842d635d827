import { ANY, type Namespace, parseNamespace, REST } from "./pattern.ts";
import type { Request } from "./request.ts";
import { decodeToken, encodeToken } from "../store/base/token.ts";

/** The first token of all subjects of buses. */
const PREFIX = "aether-bus";
/** Names that are remembered in their encoded form, as most programs have a few. */
const MAX_REMEMBERED = 1000;

/** The facts in a subject about the event that came on it. */
export interface Address {
  /** The event's type. */
  readonly eventType: string;
  /** The event's actor. */
  readonly actorId: string;
  /** The namespace. */
  readonly namespace: string;
}

/** The subject of an event: `aether-bus.<eventType>.<actor>.<namespace…>`, each token encoded. */
export function subjectOf(namespace: Namespace, eventType: string, actorId: string): string {
  return `${PREFIX}.${encodeToken(eventType)}.${encodeToken(actorId)}.${namespace.subject}`;
}

/** The subjects that a subscriber has to subscribe to; no event comes on two of them. */
export function subjectsOf({ eventTypes, actor, namespace }: Request): string[] {
  const actorToken = actor.actorId === undefined ? "*" : encodeToken(actor.actorId);
  const tokens = namespace.map((token) =>
    token === ANY ? "*" : token === REST ? ">" : encodeToken(token)
  );
  const types = eventTypes?.map(encodeToken) ?? ["*"];
  return types.map((type) => [PREFIX, type, actorToken, ...tokens].join("."));
}

const namespaces = new Map<string, string | undefined>();
const types = new Map<string, string | undefined>();

/** The facts in `subject`, or `undefined` if no bus has made it. */
export function addressOf(subject: string): Address | undefined {
  const afterPrefix = subject.indexOf(".");
  const afterType = subject.indexOf(".", afterPrefix + 1);
  const afterActor = subject.indexOf(".", afterType + 1);
  if (afterPrefix !== PREFIX.length || afterType === -1 || afterActor === -1) return undefined;
  const eventType = remember(types, subject.slice(afterPrefix + 1, afterType), decodeToken);
  const actorId = tryDecode(subject.slice(afterType + 1, afterActor), decodeToken);
  const namespace = remember(namespaces, subject.slice(afterActor + 1), decodeNamespace);
  if (eventType === undefined || actorId === undefined || namespace === undefined) return undefined;
  return { eventType, actorId, namespace };
}

/** Throws for a text that is no namespace, such as one with an encoded dot within a token. */
function decodeNamespace(subject: string): string {
  const name = subject.split(".").map(decodeToken).join(".");
  if (parseNamespace(name).subject !== subject) throw new RangeError("No namespace of ours");
  return name;
}

function remember(
  memory: Map<string, string | undefined>,
  key: string,
  decode: (key: string) => string,
): string | undefined {
  const known = memory.get(key);
  if (known !== undefined || memory.has(key)) return known;
  const value = tryDecode(key, decode);
  if (memory.size >= MAX_REMEMBERED) memory.clear();
  memory.set(key, value);
  return value;
}

function tryDecode(key: string, decode: (key: string) => string): string | undefined {
  try {
    return decode(key);
  } catch {
    return undefined;
  }
}
