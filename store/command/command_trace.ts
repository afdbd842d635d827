import { type Context, context, ROOT_CONTEXT, SpanKind } from "@opentelemetry/api";
import type { EventMetadata } from "../event.ts";
import { type Spanned, Spans, traceContextOf } from "../telemetry/spans.ts";

let spans: Spans | undefined;

/** The trace of a command. Only with a tracing SDK: else there is none. */
export interface CommandTrace {
  /** The context of the call, in the command's span: to load, decide and save in. */
  readonly within: Context;
  /** The metadata of the command's events, the trace context of its span among them. */
  readonly metadata: EventMetadata | undefined;
  /** The command's span, if one is recorded: it ends with the command. */
  readonly spanned: Spanned | undefined;
}

/** The options of a command that its trace goes by. */
interface TracedOptions {
  readonly metadata?: EventMetadata | undefined;
  readonly trace?: boolean | undefined;
  readonly isTraceOfCause?: boolean | undefined;
  readonly commandId?: string | undefined;
}

/** Begins the trace of a command; `undefined` if no tracing SDK is installed. */
export function traceCommand(
  name: "execute" | "executeAll",
  actorIds: readonly string[],
  { metadata, trace = true, isTraceOfCause, commandId }: TracedOptions,
): CommandTrace | undefined {
  spans ??= new Spans();
  if (!spans.installed) return undefined;
  const within = context.active();
  const spanned = trace
    ? spans.begin({
      name,
      kind: SpanKind.INTERNAL,
      attributes: {
        ...(actorIds.length === 1 && { "aether.actor.id": actorIds[0]! }),
        ...(commandId !== undefined && { "aether.command.id": commandId }),
      },
      events: metadata === undefined ? [] : [{ metadata }],
      under: "active",
    })
    : undefined;
  if (spanned === undefined) return { within, metadata, spanned };
  const isOwn = metadata?.traceparent !== undefined && isTraceOfCause !== true;
  const { traceparent: _, tracestate: __, ...rest } = metadata ?? {};
  return {
    within: spanned.within,
    metadata: isOwn ? metadata : { ...rest, ...traceContextOf(spanned.span) },
    spanned,
  };
}

/** Does `work` in the context of the commands that it is for: of one, or of no span if they are several. */
export function inTraceOf<T>(traces: readonly (CommandTrace | undefined)[], work: () => T): T {
  const [first, other] = traces;
  if (first === undefined) return work();
  return context.with(other === undefined ? first.within : ROOT_CONTEXT, work);
}
