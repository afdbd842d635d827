import type { Msg, Subscription as NatsSubscription } from "@nats-io/nats-core";
import { type BusDelivery, openEvent } from "./delivery.ts";
import type { Attachment } from "./hub.ts";
import type { Meter } from "./metrics.ts";
import { addressOf, subjectsOf } from "./subject.ts";
import type { QueuedSubscription } from "./subscription.ts";
import { unlessAborted } from "../store/base/abort.ts";
import type { Connection } from "../store/connection.ts";

/** How long the server may take to answer a member that leaves its group, in ms. */
const REASON = 2_000;

/** One subscription on the server, with the subscriptions on this node that get its messages. */
interface SubscribedSubject {
  readonly members: Set<QueuedSubscription>;
  readonly subscription: NatsSubscription;
}

/** The messages from the server, and its subscriptions for them: one for each subject. */
export class ServerSubscriptions {
  readonly #connection: Connection;
  readonly #mark: string;
  readonly #meter: Meter;
  readonly #lines = new Map<string, SubscribedSubject>();

  /** `mark` is the reply subject of this bus's own messages. */
  constructor(connection: Connection, mark: string, meter: Meter) {
    this.#connection = connection;
    this.#mark = mark;
    this.#meter = meter;
  }

  /** Delivers to `subscription` from now on; returns what ends it. */
  add(subscription: QueuedSubscription): Attachment {
    const { group } = subscription.request;
    // Only the server picks a group's member, so each member has subscriptions of its own.
    if (group !== undefined) {
      const own = subjectsOf(subscription.request).map((subject) =>
        this.#open(subject, new Set([subscription]), group)
      );
      return {
        end: () => own.forEach((line) => line.isClosed() || line.unsubscribe()),
        leave: () => withinReason(own.map((line) => line.drain())),
      };
    }
    const subjects = subjectsOf(subscription.request);
    for (const subject of subjects) this.#join(subject, subscription);
    const end = (): void => {
      for (const subject of subjects) this.#part(subject, subscription);
    };
    return { end, leave: () => Promise.resolve(end()) };
  }

  #join(subject: string, subscription: QueuedSubscription): void {
    const line = this.#lines.get(subject);
    if (line !== undefined) return void line.members.add(subscription);
    const members = new Set([subscription]);
    this.#lines.set(subject, { members, subscription: this.#open(subject, members) });
  }

  #part(subject: string, subscription: QueuedSubscription): void {
    const line = this.#lines.get(subject);
    if (!line?.members.delete(subscription) || line.members.size > 0) return;
    this.#lines.delete(subject);
    line.subscription.unsubscribe();
  }

  #open(subject: string, members: Set<QueuedSubscription>, group?: string): NatsSubscription {
    const callback = (error: Error | null, message: Msg): void => {
      if (error === null) return this.#receive(message, members, group !== undefined);
      // The server refused the subscription, and nats.js has closed it.
      for (const member of [...members]) member.fail(error);
    };
    return this.#connection.subscribe(
      subject,
      group === undefined ? { callback } : { callback, queue: group },
    );
  }

  #receive(message: Msg, members: Set<QueuedSubscription>, grouped: boolean): void {
    const own = message.reply === this.#mark;
    // Local subscribers got it from the publisher; in a group, only the server knows the member in
    // turn.
    if (own && !grouped) return;
    const delivery = this.#read(message);
    if (delivery === undefined) {
      this.#meter.skip();
      return;
    }
    if (!own) delivery.counts.receive();
    const { actorId } = delivery.event;
    for (const member of members) {
      if (member.wants(actorId)) member.offer(delivery);
    }
  }

  #read(message: Msg): BusDelivery | undefined {
    const address = addressOf(message.subject);
    if (address === undefined) return undefined;
    const { namespace, eventType, actorId } = address;
    try {
      const event = openEvent(message.data, eventType, actorId);
      const counts = this.#meter.of(namespace, eventType);
      return { namespace, event, since: performance.now(), counts };
    } catch {
      return undefined; // the caller counts it as malformed
    }
  }
}

/**
 * Waits until the server has answered that it gives nothing more, which comes behind all that it
 * gave before. A server that is out of reach has given the rest to others by then.
 */
async function withinReason(drained: readonly Promise<void>[]): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), REASON);
  await unlessAborted(late.signal, Promise.allSettled(drained)).catch(() => {});
  clearTimeout(timer);
}
