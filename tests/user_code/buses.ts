import { assertEquals } from "@std/assert";
import { type Event, LocalEventBus } from "../../mod.ts";
import { type Act, once } from "../support/acts.ts";
import { DATA, fact, failing, type Hooks } from "./bed.ts";

/** Publishes two events: whatever one subscriber does with the first, both reach everybody. */
async function publishes(
  act: Act,
  hooks: ConstructorParameters<typeof LocalEventBus>[0] & {
    handler?: (event: Event) => void;
    own?: (error: unknown) => void;
    capacity?: number;
  },
): Promise<void> {
  await using bus = new LocalEventBus({ onError: () => {}, ...hooks });
  const end = new AbortController();
  const { handler = () => {}, own } = hooks;
  const handled: number[] = [];
  bus.on("orders", async (event) => {
    handled.push(event.version);
    await handler(event);
  }, { signal: end.signal, ...(own && { onError: own }) });
  const lossy = bus.subscribe("orders", { capacity: hooks.capacity ?? 10 });
  const other: unknown[] = [];
  bus.on("orders", ({ data }) => void other.push(data));
  for (const version of [1, 2, 3]) {
    await bus.publish("orders", fact(version));
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(other, [DATA, DATA, DATA]);
  assertEquals(handled, act.kind === "hangs" && hooks.handler ? [1] : [1, 2, 3]);
  await lossy[Symbol.asyncDispose]();
}

/** What event buses take from their user. */
export const BUSES: Hooks = {
  "EventHandler": async (_bed, act) => {
    if (act.kind === "hangs") return; // Disposal waits for it, as the contract says.
    await publishes(act, { handler: once(act, () => {}) });
  },
  "EventBusOptions.onError": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { handler: failing, onError: once(act, () => {}) }),
  "HandlerOptions.onError": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { handler: failing, own: once(act, () => {}) }),
  "EventBusOptions.onDrop": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { capacity: 1, onDrop: once(act, () => {}) }),
  "NatsEventBusOptions.onReconnect": "drawn from in server_test.ts",
};
