import { assertEquals } from "@std/assert";
import type { SubscribeOptions, Subscription } from "../../bus/bus.ts";
import { LocalEventBus } from "../../bus/local.ts";
import type { Event } from "../../store/event.ts";
import { eventBusSuite } from "../../testing/event_bus/suite.ts";

/** Hands the same objects to all, as a bus would that neither copies nor freezes. */
class SharingBus extends LocalEventBus {
  readonly #shared = new Map<string, Event>();

  override subscribe<E extends Event = Event>(
    pattern: string,
    options?: SubscribeOptions,
  ): Subscription<E> {
    const subscription = super.subscribe<E>(pattern, options);
    const share = (event: E): E => {
      if (!this.#shared.has(event.id)) this.#shared.set(event.id, structuredClone(event));
      return this.#shared.get(event.id) as E;
    };
    const iterator = subscription[Symbol.asyncIterator]();
    const next = iterator.next.bind(iterator);
    iterator.next = async () => {
      const result = await next();
      return result.done ? result : { done: false, value: share(result.value) };
    };
    return subscription;
  }
}

/** Reads wildcards in the names of namespaces, as a bus would that does not encode them. */
class WildPublishBus extends LocalEventBus {
  override async publish(namespace: string, event: Event): Promise<void> {
    await super.publish(namespace, event);
    if (/^[*>]$/.test(namespace)) await super.publish("orders", event);
  }
}

/** Takes each pattern for all that begins with it. */
class PrefixBus extends LocalEventBus {
  override async publish(namespace: string, event: Event): Promise<void> {
    await super.publish(namespace, event);
    const above = namespace.slice(0, namespace.lastIndexOf("."));
    if (namespace.includes(".") && above !== "") await super.publish(above, event);
  }
}

/** Delivers twice. */
class EchoBus extends LocalEventBus {
  override async publish(namespace: string, event: Event): Promise<void> {
    await super.publish(namespace, event);
    await super.publish(namespace, event);
  }
}

/** Lets every other event overtake the one before. */
class SwappingBus extends LocalEventBus {
  #held: Event | undefined;

  override async publish(namespace: string, event: Event): Promise<void> {
    if (event.version === 1 && namespace === "orders") return void (this.#held = event);
    await super.publish(namespace, event);
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) await super.publish(namespace, held);
  }
}

/** Changes what the subscriber has asked for. */
class ForgetfulBus extends LocalEventBus {
  readonly #forget: (options: SubscribeOptions) => SubscribeOptions;

  constructor(forget: (options: SubscribeOptions) => SubscribeOptions) {
    super({ onDrop: () => {} });
    this.#forget = forget;
  }

  override subscribe<E extends Event = Event>(
    pattern: string,
    options: SubscribeOptions = {},
  ): Subscription<E> {
    return super.subscribe<E>(pattern, this.#forget(options));
  }
}

const MUTANTS: [string, () => LocalEventBus, string][] = [
  ["shares objects", () => new SharingBus(), "reach no other copy"],
  ["publishes to wildcards", () => new WildPublishBus(), "a namespace made of wildcards"],
  ["takes namespaces for prefixes", () => new PrefixBus(), "subscribers of one namespace"],
  ["delivers twice", () => new EchoBus(), "subscribe() is active"],
  ["swaps events", () => new SwappingBus(), "subscribe() is active"],
  [
    "ignores eventTypes",
    () => new ForgetfulBus(({ eventTypes: _, ...rest }) => rest),
    "eventTypes and actorPattern",
  ],
  [
    "ignores actorPattern",
    () => new ForgetfulBus(({ actorPattern: _, ...rest }) => rest),
    "eventTypes and actorPattern",
  ],
  [
    "ignores exact",
    () => new ForgetfulBus(({ exact: _, ...rest }) => rest),
    "a namespace made of wildcards",
  ],
  [
    "ignores capacity",
    () => new ForgetfulBus(({ capacity: _, ...rest }) => rest),
    "a full queue drops the oldest",
  ],
  [
    "ignores overflow",
    () => new ForgetfulBus(({ overflow: _, ...rest }) => rest),
    "a full queue drops the newest",
  ],
  [
    "ignores queue",
    () => new ForgetfulBus(({ queue: _, ...rest }) => rest),
    "a queue group shares",
  ],
];

for (const [fault, make, expected] of MUTANTS) {
  Deno.test(`eventBusSuite() catches a bus that ${fault}`, async () => {
    const found: string[] = [];
    const tests: [string, () => Promise<void>][] = [];
    eventBusSuite({
      test: (name, run) => void tests.push([name, run]),
      create: () => {
        const bus = make();
        return { bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
      },
      capabilities: { nodes: false },
    });
    for (
      const [name, run] of tests.filter(([name]) =>
        name.startsWith(expected) || name.endsWith(expected)
      )
    ) {
      await run().catch(() => found.push(name));
    }
    assertEquals(found.length, 1);
  });
}
