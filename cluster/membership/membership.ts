import type { NodeIncarnation } from "../incarnation.ts";
import type { Clock } from "../election/clock.ts";
import { Incarnation, nextIncarnation } from "./node_life.ts";
import type { NodeOptions } from "./options.ts";
import type { DiscoveryTimings } from "./timings.ts";
import { memberOf, type ViewStep } from "./view.ts";
import type { ViewCoordinator } from "./view_coordinator.ts";
import { decodeView, encodeStep } from "./view_json.ts";
import type { ViewStore } from "./view_store.ts";
import { recordTooLarge } from "../record_limit.ts";
import { coordinatorSubject } from "../subjects.ts";
import type { Connection } from "../../store/connection.ts";
import { isAetherError, NodeReplacedError, StoreUnavailableError } from "../../store/errors.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { RequestError } from "../../store/nats/request_error.ts";
import { isOutOfReach, notHeard } from "../../store/nats/failure.ts";

/** The parts that a membership needs. */
export interface MembershipParts {
  readonly connection: Connection;
  readonly namespace: string;
  readonly bucket: Bucket;
  readonly store: ViewStore;
  readonly timings: DiscoveryTimings;
  readonly clock: Clock;
  readonly node: NodeOptions;
  /** How busy the node is; never throws. */
  readonly load: () => number | undefined;
  /** Gets errors that are not transient. */
  readonly report: (error: unknown) => void;
  /** Deadline of joining and leaving, in ms. */
  readonly timeout: number;
  /** The coordinator in this process, if any. */
  readonly viewCoordinator: () => ViewCoordinator | undefined;
}

/** How long to wait for a coordinator, in ms: then the node writes the view itself. */
const PATIENCE = 1000;
/** The same for a node that leaves, and has perhaps just led: its successor may not listen yet. */
const HURRY = 250;

/** As long as any incarnation. */
const LONGEST = /* @__PURE__ */ "f".repeat(36);

/**
 * Keeps a node a member, over one incarnation after another: a node that was taken out of the view
 * may have lost all it had, and must come back as a new one.
 */
export class Membership {
  readonly #parts: MembershipParts;
  #life: Incarnation | undefined;
  #last = "";

  /** Not a member yet. */
  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** The present incarnation, or the latest one. */
  get life(): Incarnation | undefined {
    return this.#life;
  }

  /** Whether the present incarnation is in the view. */
  get isMember(): boolean {
    return this.#life !== undefined && this.#isIn(this.#life);
  }

  /**
   * Begins a new incarnation, and resolves when it is in the view.
   *
   * @throws {NodeReplacedError} A later incarnation of the node is a member, in another process.
   * @throws {StoreUnavailableError} The server does not answer in time.
   * @throws {StoreRefusedError} The view with the node would not fit into a message.
   */
  async join(): Promise<void> {
    const { store, node, timings, clock, timeout, connection, namespace, bucket, load, report } =
      this.#parts;
    const deadline = performance.now() + timeout;
    const view = await store.refresh(timeout);
    this.#checkFits();
    this.#last = nextIncarnation(view, node.nodeId, this.#last);
    const isMember = async (life: NodeIncarnation) => {
      await store.refresh();
      return this.#isIn(life);
    };
    const parts = { connection, namespace, bucket, timings, clock, load, report, isMember };
    const life = new Incarnation(parts, node.nodeId, this.#last);
    try {
      if (!await life.begin(timeout)) {
        throw new StoreUnavailableError(
          `Cannot join as "${node.nodeId}": the server takes no heartbeat; check that it is in reach`,
        );
      }
      if (life.refused !== undefined) throw notHeard(life.refused);
      this.#life = life; // Set before it is in the view, where others see it.
      const description = { ...node, incarnation: life.incarnation };
      await this.#propose({ type: "join", node: description }, deadline);
      this.#checkReplaced(life);
      if (!this.#isIn(life)) {
        this.#checkFits(); // Others may have joined at the same time.
        throw new StoreUnavailableError(`Cannot join as "${node.nodeId}": it was taken for gone`);
      }
    } catch (error) {
      await life.end();
      throw error;
    }
  }

  /**
   * Joins again once the present incarnation is out of the view, until it succeeds.
   *
   * @throws {NodeReplacedError} A later incarnation of the node is a member, in another process.
   */
  async rejoin(signal: AbortSignal): Promise<void> {
    const { bucket: { requests } } = this.#parts;
    const retry = backoff(Infinity, signal);
    await this.end();
    this.#checkReplaced(this.#life!);
    do {
      try {
        return await this.join();
      } catch (error) {
        if (!isOutOfReach(error)) throw error;
        if (isAetherError(error, "StoreRefusedError")) this.#parts.report(error);
      }
    } while (await retry(requests));
  }

  /**
   * Announces that the present incarnation will leave.
   *
   * @throws {StoreUnavailableError} The server does not answer in time.
   */
  async retire(timeout: number = this.#parts.timeout): Promise<void> {
    const { nodeId, incarnation } = this.#life!;
    await this.#propose({ type: "retire", nodeId, incarnation }, performance.now() + timeout);
  }

  /**
   * Takes the present incarnation out of the view.
   *
   * @throws {StoreUnavailableError} The server does not answer in time.
   */
  async leave(timeout: number = this.#parts.timeout): Promise<void> {
    if (!this.isMember) return;
    const { nodeId, incarnation } = this.#life!;
    const step: ViewStep = { type: "depart", nodeId, incarnation, how: "left" };
    await this.#propose(step, performance.now() + timeout);
  }

  /** Ends the present incarnation, without notifying the others. */
  async end(): Promise<void> {
    await this.#life?.end();
  }

  #isIn({ nodeId, incarnation }: NodeIncarnation): boolean {
    return memberOf(this.#parts.store.view, nodeId, incarnation) !== undefined;
  }

  #checkFits(): void {
    const { node, store } = this.#parts;
    const { size, limit } = store.sizeWith({ ...node, incarnation: LONGEST });
    if (size <= limit) return;
    const hint = "give the nodes fewer or shorter metadata";
    throw recordTooLarge(node.nodeId, "the view of the cluster", size, limit, hint);
  }

  #checkReplaced({ nodeId, incarnation }: NodeIncarnation): void {
    const { view } = this.#parts.store;
    const by = [...view.members, ...view.departed].find((other) =>
      other.nodeId === nodeId && other.incarnation > incarnation
    );
    if (by !== undefined) throw new NodeReplacedError(nodeId, incarnation, by.incarnation);
  }

  /**
   * Lets the coordinator make a step, so that many steps make one view; otherwise makes it alone.
   */
  async #propose(step: ViewStep, deadline: number): Promise<void> {
    const { store, viewCoordinator } = this.#parts;
    const own = viewCoordinator();
    if (own !== undefined && await own.propose(step) !== undefined) return;
    if (own === undefined && await this.#ask(step)) return;
    await store.write(() => [step], Math.max(1, deadline - performance.now()));
  }

  async #ask(step: ViewStep): Promise<boolean> {
    const { store, bucket: { requests, origin }, namespace } = this.#parts;
    try {
      const subject = coordinatorSubject(namespace);
      const patience = step.type === "depart" ? HURRY : PATIENCE;
      const { data } = await requests.request(subject, encodeStep(step, origin), patience);
      if (data.length === 0) return false;
      store.adopt(decodeView(data));
      return true;
    } catch (error) {
      if (error instanceof RequestError || error instanceof TypeError) return false;
      throw error;
    }
  }
}
