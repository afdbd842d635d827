import { murmur3 } from "../base/murmur.ts";
import type { EventFilter } from "../options.ts";

/** Names a filter: two filters that let the same events through by the same words have one name. */
export function digestOf({ category, actorId, eventTypes }: EventFilter): string {
  const types = eventTypes && [...new Set(eventTypes)].sort();
  const text = JSON.stringify([category ?? null, actorId ?? null, types ?? null]);
  return [1, 2].map((part) => murmur3(text, part).toString(16).padStart(8, "0")).join("");
}

/** The message of a projection about a filter that has changed. */
export function filterChange(name: string): string {
  return `the filter of projection "${name}" has changed, and applies only to events that come ` +
    "after it: the read model lacks earlier ones that it lets through, and keeps those that it " +
    "leaves out, until rebuild() makes a new one";
}
