/** The texts of a view that has nothing to show, and small pieces that views share. */
import type { ComponentChildren, VNode } from "preact";
import { href } from "../route.ts";
import { moment } from "../words.ts";

/** A place where something will be, and what to do to see it. */
export function Empty(
  { title, children }: { readonly title: string; readonly children?: ComponentChildren },
): VNode {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div>{children}</div>}
    </div>
  );
}

/** A fault, in words. */
export function Trouble(
  { text, again }: { readonly text: string; readonly again?: () => void },
): VNode {
  return (
    <div class="trouble" role="alert">
      <span>{text}</span>
      {again && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}

/** Says that something is on its way. */
export function Loading({ text = "Loading…" }: { readonly text?: string }): VNode {
  return <p class="loading" role="status">{text}</p>;
}

/** A view's heading, with what belongs beside it. */
export function Heading(
  { title, note, children }: {
    readonly title: string;
    readonly note?: ComponentChildren;
    readonly children?: ComponentChildren;
  },
): VNode {
  return (
    <header class="heading">
      <h1 tabIndex={-1}>{title}</h1>
      {note && <span class="note">{note}</span>}
      {children && <div class="heading-tools">{children}</div>}
    </header>
  );
}

/** A part of a view with a heading of its own. */
export function Panel(
  { title, note, children, wide }: {
    readonly title: string;
    readonly note?: ComponentChildren;
    readonly children: ComponentChildren;
    readonly wide?: boolean;
  },
): VNode {
  return (
    <section class={wide ? "panel wide" : "panel"} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
      </header>
      {children}
    </section>
  );
}

/** A number and the word for it. */
export function Fact(
  { name, value, note }: {
    readonly name: string;
    readonly value: ComponentChildren;
    readonly note?: ComponentChildren;
  },
): VNode {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        {value}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

/** How something is, in a word with a colour. */
export function Badge(
  { kind = "plain", children }: {
    readonly kind?: "plain" | "good" | "warn" | "bad" | "accent";
    readonly children: ComponentChildren;
  },
): VNode {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** A link to an actor, or to one of its versions. */
export function ActorLink(
  { actorId, version, children }: {
    readonly actorId: string;
    readonly version?: number | undefined;
    readonly children?: ComponentChildren;
  },
): VNode {
  return (
    <a class="id" href={href("actor", actorId, { at: version })} title={actorId}>
      {children ?? actorId}
    </a>
  );
}

/** A time, with the whole of it in a title. */
export function When(
  { time, children }: { readonly time: string; readonly children?: ComponentChildren },
): VNode {
  return <time dateTime={time} title={`${moment(time)} (${time})`}>{children ?? moment(time)}
  </time>;
}
