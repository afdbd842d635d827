import { createEvent, type Event } from "../../store/event.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import type { SaveOptions, SaveReceipt } from "../../store/options.ts";
import { control } from "./suite_control.ts";

control(
  "publishes EventStored before it saves",
  ({ broadcaster, ...options }) =>
    new class extends InMemoryEventStore {
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        for (const { actorId, version } of events) {
          const event = { eventType: "EventStored", actorId, version, data: {} };
          await broadcaster?.publish("default", createEvent(event));
        }
        return await super.saveEvents(events, more);
      }
    }(options),
  [
    "EventStored is published before the save resolves, and the event is there",
    "nothing is published for a conflict, a duplicate or an invalid event",
    "saveEvents() stores nothing if one event is in conflict",
  ],
);

control(
  "publishes EventStored some time after the save",
  ({ broadcaster, ...options }) =>
    new InMemoryEventStore({
      ...options,
      broadcaster: {
        publish: (namespace, event) =>
          new Promise((resolve) =>
            setTimeout(() => resolve(broadcaster?.publish(namespace, event)))
          ),
      },
    }),
  ["EventStored is published before the save resolves, and the event is there"],
);

control("publishes nothing", ({ broadcaster: _, ...options }) => new InMemoryEventStore(options), [
  "a save publishes EventStored with the facts of the saved event",
  "EventStored comes once for each event of a batch, in order per actor",
]);

control(
  "does not wait for a notification before the next",
  ({ broadcaster, ...options }) =>
    new InMemoryEventStore({
      ...options,
      broadcaster: { publish: (...event) => void broadcaster?.publish(...event) },
    }),
  ["a slow broadcaster delays no save, and gets an actor's events in turn"],
);

control(
  "fails a save with its broadcaster",
  ({ broadcaster, ...options }) =>
    new class extends InMemoryEventStore {
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        const receipt = await super.saveEvents(events, more);
        for (const event of events) await broadcaster?.publish("default", event);
        return receipt;
      }
    }(options),
  ["a broadcaster that fails is reported and fails no save"],
);

control(
  "does not wait for anything when disposed",
  (options) =>
    new class extends InMemoryEventStore {
      override [Symbol.asyncDispose](): Promise<void> {
        return Promise.resolve();
      }
    }(options),
  ["disposal waits for notifications under way"],
);

control("leaves saves alone when disposed", (options) =>
  new class extends InMemoryEventStore {
    override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      await new Promise((resolve) => setTimeout(resolve));
      return await super.saveEvents(events, more);
    }
  }(options), ["disposal waits for saves under way"]);
