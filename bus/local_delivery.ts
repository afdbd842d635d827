import { type BusDelivery, openEvent } from "./delivery.ts";
import { type InterestToken, InterestTree } from "./interest.ts";
import type { Attachment } from "./hub.ts";
import type { Meter } from "./metrics.ts";
import { type ActorFilter, ANY, type Namespace } from "./pattern.ts";
import type { Request } from "./request.ts";
import type { QueuedSubscription } from "./subscription.ts";
import type { PreparedEvent } from "../store/format/encode.ts";

/** Delivers events published here to the subscriptions on this node. */
export class LocalDelivery {
  readonly #interest = new InterestTree<QueuedSubscription>();
  readonly #turns = new WeakMap<QueuedSubscription, number>();
  #turn = 0;

  /** Delivers to `subscription` from now on; returns what ends it. */
  add(subscription: QueuedSubscription): Attachment {
    const paths = pathsOf(subscription.request);
    for (const path of paths) this.#interest.add(path, subscription);
    const end = (): void => {
      for (const path of paths) this.#interest.delete(path, subscription);
    };
    return { end, leave: () => Promise.resolve(end()) };
  }

  /** Puts the event into the queues of the subscriptions that want it. */
  deliver(namespace: Namespace, event: PreparedEvent, meter: Meter): void {
    const { eventType, actorId, body } = event;
    let delivery: BusDelivery | undefined;
    let groups: Map<string, QueuedSubscription[]> | undefined;
    const counts = meter.of(namespace.name, eventType);
    this.#interest.match([eventType, actorId, ...namespace.tokens], (subscription) => {
      if (!subscription.wants(actorId)) return;
      const { group } = subscription.request;
      delivery ??= {
        namespace: namespace.name,
        event: openEvent(body, eventType, actorId),
        since: performance.now(),
        counts,
      };
      if (group === undefined) return subscription.offer(delivery);
      groups ??= new Map();
      const members = groups.get(group);
      if (members === undefined) groups.set(group, [subscription]);
      else members.push(subscription);
    });
    groups?.forEach((members) => this.#choose(members).offer(delivery!));
  }

  /** The member with the least to do; if several, the one whose last turn was longest ago. */
  #choose(members: QueuedSubscription[]): QueuedSubscription {
    const lastTurn = (member: QueuedSubscription): number => this.#turns.get(member) ?? 0;
    const chosen = members.reduce((best, next) =>
      (next.load - best.load || lastTurn(next) - lastTurn(best)) < 0 ? next : best
    );
    this.#turns.set(chosen, ++this.#turn);
    return chosen;
  }
}

/** The paths of a request in the tree: by type, actor and namespace, as in a subject. */
function pathsOf({ eventTypes, actor, namespace }: Request): InterestToken[][] {
  const types: readonly InterestToken[] = eventTypes ?? [ANY];
  return types.map((type) => [type, actorToken(actor), ...namespace]);
}

function actorToken({ actorId, prefix }: ActorFilter): InterestToken {
  if (actorId !== undefined) return actorId;
  return prefix ? { prefix } : ANY;
}
