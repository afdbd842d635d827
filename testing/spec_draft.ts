import type { EventDraft } from "../store/append.ts";
import type { Event } from "../store/event.ts";

/**
 * A value that may be read-only in depth where `T` is not: what `as const` makes fits, though the
 * events hold arrays that can be changed.
 */
export type SpecValue<T> = unknown extends T ? T
  : T extends
    string | number | boolean | bigint | symbol | null | undefined | ((...args: never[]) => unknown)
    ? T
  : { readonly [Key in keyof T]: SpecValue<T[Key]> };

/** An event as a spec writes it: a draft, which may be `as const`. */
export type SpecDraft<E extends Event = Event> = SpecValue<EventDraft<E>>;

/** An event as a spec gives it to a handler: fields that are left out get values that say nothing. */
export type SpecEvent<E extends Event = Event> =
  & SpecDraft<E>
  & {
    /** Its actor. @default {"given"} */
    readonly actorId?: string;
    /** When it happened. @default {the beginning of 1970} */
    readonly timestamp?: Date;
  };
