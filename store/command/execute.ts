import { needDecider, needObject, needSignal, needString } from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { ActorQueue } from "./actor_queue.ts";
import { type CommandQueues, queuesOf } from "./command_queues.ts";
import { checkCommand, ownCopy, ownOptions } from "./command_options.ts";
import { inTraceOf, traceCommand } from "./command_trace.ts";
import type { Decider } from "./decider.ts";
import {
  type AnyDecider,
  type ExecuteOptions,
  type ExecuteResult,
  PendingCommand,
} from "./pending_command.ts";
import { checkSnapshots } from "./rehydrate.ts";
import { commandLogOf } from "../command_log.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import { inSpan } from "../telemetry/spans.ts";

/**
 * Runs one command on one actor: loads its state, lets the decider decide, and saves all events
 * of the decision at once if no other writer has written to the actor since; otherwise it loads the
 * new events and decides again, until the deadline.
 *
 * Commands of one process on one actor (through the same store) wait for each other instead of
 * conflicting; when many wait, they are decided one after the other and saved together. Between
 * processes the store decides. A command may be decided several times and is saved once: a decider
 * with side effects repeats them each time.
 *
 * @param store The store that holds the events.
 * @param actorId The actor to run the command on.
 * @param decider The rules.
 * @param command The command, for `decide`.
 * @throws {TypeError} An argument is of another kind, or in another's place.
 * @throws Any error that `decide` or `evolve` throws, untouched; it was thrown for the actor's
 * current state, and nothing was saved.
 * @throws {VersionConflictError} Other writers were faster until the deadline; nothing was saved.
 * @throws {StoreUnavailableError} The store could not be reached, or the command's turn did not
 * come before the deadline; nothing was saved.
 * @throws {SaveOutcomeUnknownError} The store did not report before the deadline whether the
 * events are saved; `settle()` asks again.
 * @throws {StreamRegressedError} The store has lost events that were seen before.
 *
 * @example Withdraw no more than there is, however many try at once
 * ```ts
 * import { type Decider, type Event, execute, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * type AccountEvent = Event<"Deposited", { amount: number }> | Event<"Withdrawn", { amount: number }>;
 * type AccountCommand = { type: "deposit" | "withdraw"; amount: number };
 *
 * const account: Decider<number, AccountCommand, AccountEvent> = {
 *   initialState: () => 0,
 *   evolve: (balance, { eventType, data }) =>
 *     eventType === "Deposited" ? balance + data.amount : balance - data.amount,
 *   decide: ({ type, amount }, balance) => {
 *     if (type === "deposit") return { eventType: "Deposited", data: { amount } };
 *     if (amount > balance) throw new RangeError(`Cannot withdraw ${amount}: there is ${balance}`);
 *     return { eventType: "Withdrawn", data: { amount } };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await execute(store, "account-1", account, { type: "deposit", amount: 100 });
 * const withdrawals = Array.from(
 *   { length: 20 },
 *   () => execute(store, "account-1", account, { type: "withdraw", amount: 10 }),
 * );
 * const outcomes = await Promise.allSettled(withdrawals);
 * console.log(outcomes.filter(({ status }) => status === "fulfilled").length); // 10
 * ```
 */
export async function execute<State, Command, E extends Event = Event>(
  store: EventStore,
  actorId: string,
  decider: Decider<State, Command, E>,
  command: NoInfer<Command>,
  options: ExecuteOptions = {},
): Promise<ExecuteResult<State, E>> {
  const what = "execute the command";
  needStore(store, what);
  needString(actorId, what, "actorId, the second argument,");
  needDecider(decider, what, "decider, the third argument,");
  needObject(options, what, "options");
  const own = ownOptions(options);
  const { timeout = 10_000, signal, snapshots } = own;
  needSignal(signal, what);
  signal?.throwIfAborted();
  checkCommand(own, commandLogOf(store));
  if (snapshots !== undefined) checkSnapshots(decider, snapshots);
  const rules = decider as unknown as AnyDecider;
  const trace = traceCommand("execute", [actorId], own);
  const job = new PendingCommand(actorId, rules, ownCopy(command), own, timeout, trace);
  enqueue(queuesOf(store), store, job);
  return await inSpan(trace?.spanned, () => job.promise) as ExecuteResult<State, E>;
}

function enqueue(
  { queues, ...parts }: CommandQueues,
  store: EventStore,
  job: PendingCommand,
): void {
  const { actorId } = job;
  const queue = queues.get(actorId);
  if (queue !== undefined) return queue.push(job);
  const opened = new ActorQueue(store, actorId, parts);
  opened.push(job);
  queues.set(actorId, opened);
  inTraceOf([job.trace], () => opened.drain(() => queues.delete(actorId)));
}
