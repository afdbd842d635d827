import { needObject, needOptionalFunctions, needSignal } from "../store/base/given.ts";
import { callHook, print } from "../store/base/hook.ts";
import type {
  DropReport,
  EventBusOptions,
  EventHandler,
  HandlerOptions,
  SubscribeOptions,
} from "./bus.ts";
import { HandlerLoop } from "./handler.ts";
import { Meter } from "./metrics.ts";
import { parseRequest } from "./request.ts";
import { QueuedSubscription } from "./subscription.ts";
import { BusTracer, withTrace } from "./trace.ts";
import type { Event } from "../store/event.ts";
import { endSpan } from "../store/telemetry/spans.ts";

/** The tie between a subscription and the source of its events. */
export interface Attachment {
  /** Unties them at once. */
  end(): void;
  /** Unties them; resolves when all has come that the source gave. Must not reject. */
  leave(): Promise<void>;
}

/** Connects a new subscription to the source of its events. */
export type Attach = (subscription: QueuedSubscription) => Attachment;

/** The part of a bus that is on this node: its subscribers, its counts, its end. */
export class Hub {
  /** The counts. */
  readonly meter: Meter;
  readonly #tracer: BusTracer;
  readonly #attach: Attach;
  readonly #onDrop: (report: DropReport) => void;
  readonly #onError: (error: unknown, event?: Event) => void;
  readonly #subscriptions = new Set<QueuedSubscription>();
  readonly #loops = new Set<Promise<void>>();
  #disposed = false;

  /**
   * `system` is the transport's name in telemetry; `attach` is called with each subscription before
   * the caller gets it.
   */
  constructor(system: string, attach: Attach, options: EventBusOptions) {
    this.meter = new Meter(system);
    this.#tracer = new BusTracer(system);
    this.#attach = attach;
    this.#onDrop = options.onDrop?.bind(options) ?? warnOfDrops;
    this.#onError = options.onError?.bind(options) ?? complain;
  }

  /** See {@linkcode EventBus.subscribe}. */
  subscribe<E extends Event>(pattern: string, options: SubscribeOptions): QueuedSubscription<E> {
    if (typeof options === "function") {
      throw new TypeError("Cannot subscribe: options is a function; handlers go to on()");
    }
    needObject(options, "subscribe", "options");
    needSignal(options.signal, "subscribe");
    const request = parseRequest(pattern, options);
    this.assertOpen(`subscribe to ${JSON.stringify(pattern)}`);
    let attachment: Attachment | undefined;
    const subscription = new QueuedSubscription(request, {
      dropping: (report) => this.guard(() => this.#onDrop(report)),
      leaving: async () => await attachment?.leave(),
      ended: () => {
        this.#subscriptions.delete(subscription);
        this.meter.subscriptions(-1);
        attachment?.end();
      },
    }, options.signal);
    if (subscription.open) {
      this.#subscriptions.add(subscription);
      this.meter.subscriptions(1);
      try {
        attachment = this.#attach(subscription);
      } catch (error) {
        subscription.end();
        throw error;
      }
    }
    return subscription as QueuedSubscription<Event> as QueuedSubscription<E>;
  }

  /** See {@linkcode EventBus.on}. */
  on<E extends Event>(
    pattern: string,
    handler: EventHandler<E>,
    options: HandlerOptions,
  ): HandlerLoop<E> {
    if (typeof handler !== "function") {
      throw new TypeError(
        `Cannot handle ${JSON.stringify(pattern)}: the handler is not a function`,
      );
    }
    const what = `handle ${JSON.stringify(pattern)}`;
    needObject(options, what, "options");
    needOptionalFunctions(options, ["onError"], what);
    const onError = options.onError?.bind(options) ?? this.#onError;
    const loop = new HandlerLoop(
      this.subscribe<E>(pattern, options),
      handler,
      (error, event) => this.guard(() => onError(error, event)),
      this.#tracer,
    );
    this.#loops.add(loop.done);
    loop.done.then(() => this.#loops.delete(loop.done));
    return loop;
  }

  /** Calls `publish` with the event, in a span and with its context if there is tracing. */
  traced<T>(namespace: string, event: Event, publish: (event: Event) => T): T {
    const span = this.#tracer.publishing(namespace, event);
    if (span === undefined) return publish(event);
    try {
      const result = publish(withTrace(event, span));
      endSpan(span);
      return result;
    } catch (error) {
      endSpan(span, { error });
      throw error;
    }
  }

  /** Throws once the bus is disposed. */
  assertOpen(what: string): void {
    if (this.#disposed) throw new TypeError(`Cannot ${what}: the bus is disposed`);
  }

  /** Ends all subscriptions as {@linkcode EventBus} documents, and waits for handlers. */
  async close(): Promise<void> {
    this.#disposed = true;
    const members = [...this.#subscriptions].filter(({ request }) => request.group !== undefined);
    const leaving = members.map((member) => member.leave());
    for (const it of this.#subscriptions) if (!members.includes(it)) it.finish();
    await Promise.all(leaving);
    await Promise.all(this.#loops);
  }

  /** The connection is closed: ends all subscriptions after their queued events. */
  end(failure: Error | undefined): void {
    for (const subscription of this.#subscriptions) {
      if (failure === undefined) subscription.finish();
      else subscription.fail(failure);
    }
  }

  /** Reports an error that belongs to neither a call nor a subscription. */
  report(error: Error): void {
    this.guard(() => this.#onError(error));
  }

  /** An error of the user's hook must not reach callers that it does not concern. */
  guard(hook: () => unknown): void {
    callHook("A hook of the event bus", hook, "error");
  }
}

function warnOfDrops({ pattern, overflow, capacity }: DropReport): void {
  const lost = overflow === "drop-oldest" ? "the oldest" : "new ones";
  console.warn(
    `Subscriber of ${JSON.stringify(pattern)} is ${capacity} events behind: ${lost} are dropped`,
  );
}

function complain(error: unknown, event?: Event): void {
  const of = event === undefined ? "" : ` ${event.eventType} of "${event.actorId}"`;
  print("error", `Event bus: handling${of} failed:`, error);
}
