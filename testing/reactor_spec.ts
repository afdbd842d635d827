import { needFunction, needObject } from "../store/base/given.ts";
import { filterAsGiven, prepareReadAll } from "../store/check/query.ts";
import { textOf } from "../store/base/text.ts";
import { uuidv8 } from "../store/base/uuid.ts";
import type { Event, RecordedEvent } from "../store/event.ts";
import { type Outgoing, outgoingOf, withKeys } from "../store/process/outgoing.ts";
import type { ReactorOptions } from "../store/process/reactor.ts";
import { same, show } from "./difference.ts";
import { checkError, type ExpectedError, isExpectedError, nameOfError } from "./expected_error.ts";
import { plain } from "./plain.ts";
import type { SpecEvent } from "./spec_draft.ts";
import { draftsAsGiven, isWanted, recorded } from "./spec_events.ts";

/** The identity of the store in the ids of a spec. */
const IDENTITY = "given";

/** A command that a spec expects. */
export interface ExpectedCommand extends Outgoing {
  /** Its id, to hold it over changes of the code. @default {it is not compared} */
  readonly commandId?: string;
}

/**
 * The expected outcome of an event: its commands in order, `[]` for none, or the error that `react`
 * throws.
 */
export type ReactorExpectation = readonly ExpectedCommand[] | ExpectedCommand | ExpectedError;

/** Tests of a reactor: see {@linkcode reactorSpec}. */
export interface ReactorSpec<E extends Event = Event> {
  /** Gives it an event, which is the first one of its actor. */
  when(event: SpecEvent<E>): ReactorWhen;
}

/** A reactor that has got an event. */
export interface ReactorWhen {
  /**
   * Passes if the event leads to these commands, and to commands with the same ids when it comes
   * again. Compares actors, commands and keys; deciders and ids if they are expected. Await it.
   *
   * @throws {Error} It does not; the message names the place, and compares both.
   */
  then(expected: ReactorExpectation): Promise<void>;
  /** The ids of the commands, in order, in a store with the identity `"given"`. */
  commandIds(): Promise<string[]>;
}

/**
 * Tests a reactor with no store and no runner: when this event comes, it sends those commands. The
 * event comes twice, as it may after a crash, and the ids of its commands have to be the same: a
 * `react` that draws a target or a key by chance, by the time, or from a memory of its own would
 * send its commands again.
 *
 * @param reactor The options of the reactor, or those three.
 *
 * @example Reserve stock for each order
 * ```ts
 * import type { Event, ReactorOptions } from "@flowmade-one/aether";
 * import { reactorSpec } from "@flowmade-one/aether/testing";
 *
 * type Placed = Event<"OrderPlaced", { skus: string[] }>;
 *
 * const reserve: Pick<ReactorOptions<Placed>, "name" | "filter" | "react"> = {
 *   name: "reserve",
 *   filter: { category: "order" },
 *   react: ({ data }) => data.skus.map((sku) => ({ actorId: `stock-${sku}`, command: { take: 1 } })),
 * };
 *
 * const spec = reactorSpec(reserve);
 * const placed = { eventType: "OrderPlaced", data: { skus: ["pen"] } } as const;
 * await spec.when({ ...placed, actorId: "order-1" }).then({
 *   actorId: "stock-pen",
 *   command: { take: 1 },
 * });
 * await spec.when({ ...placed, actorId: "offer-1" }).then([]);
 * ```
 */
export function reactorSpec<E extends Event = Event>(
  reactor: Pick<ReactorOptions<E>, "react" | "filter"> & { readonly name?: string },
): ReactorSpec<E> {
  needObject(reactor, "test the reactor", "reactor", "an object with react");
  needFunction(reactor.react, "test the reactor", "react");
  const { name = "given", filter = {} } = reactor;
  prepareReadAll({ filter }); // Refuses what no event can meet.
  const own = { name, react: reactor.react.bind(reactor), filter: filterAsGiven(filter) };
  return {
    when: (draft) => {
      const given = draftsAsGiven<E>([draft]);
      // The same event for each delivery, as another object.
      const event = () => recorded<E>(given)[0]!;
      return {
        then: (expected, ...more: unknown[]) => {
          if (more.length > 0) {
            throw new Error("Cannot await when(): call then() with the expected commands");
          }
          if (isExpectedError(expected)) return checkThrows(own, event(), expected);
          return checkCommands(own, event, expected);
        },
        commandIds: async () => (await reacted(own, event())).map(({ commandId }) => commandId!),
      };
    },
  };
}

type Reacting<E extends Event> = Required<Parameters<typeof reactorSpec<E>>[0]>;

/** The commands that `event` leads to, with their ids, as a reactor would send them. */
async function reacted<E extends Event>(
  { name, react, filter }: Reacting<E>,
  event: E & RecordedEvent,
): Promise<ExpectedCommand[]> {
  if (!isWanted(event, filter)) return [];
  const { actorId, version, id } = event;
  let reaction: unknown;
  try {
    reaction = await react(event, { signal: new AbortController().signal });
  } catch (error) {
    throw new ReactError(error);
  }
  return await Promise.all(
    withKeys(outgoingOf(reaction)).map(async ({ outgoing, key }) => {
      const parts = ["reactor", name, IDENTITY, actorId, version, id, outgoing.actorId, key];
      return { ...outgoing, commandId: await uuidv8(parts) };
    }),
  );
}

/** The error that `react` threw, apart from the library's own about its reaction. */
class ReactError extends Error {
  override readonly name = "ReactError";

  constructor(cause: unknown) {
    super(`Expected commands, but react() threw ${textOf(cause)}`, { cause });
  }
}

async function checkCommands<E extends Event>(
  reactor: Reacting<E>,
  event: () => E & RecordedEvent,
  expected: readonly ExpectedCommand[] | ExpectedCommand,
): Promise<void> {
  const wanted = Array.isArray(expected) ? expected : [expected as ExpectedCommand];
  const sent = await reacted(reactor, event());
  same(comparable(sent, wanted), comparable(wanted, wanted), "commands");
  const again = await reacted(reactor, event());
  same(targetsOf(again), targetsOf(sent), "targets", "when the event came again");
}

async function checkThrows<E extends Event>(
  reactor: Reacting<E>,
  event: E & RecordedEvent,
  expected: ExpectedError,
): Promise<void> {
  let sent: ExpectedCommand[];
  try {
    sent = await reacted(reactor, event);
  } catch (error) {
    if (!(error instanceof ReactError)) throw error;
    return checkError(error.cause, expected, "react()");
  }
  const commands = show(comparable(sent, []));
  throw new Error(`Expected ${nameOfError(expected)}, but react() gave ${commands}`);
}

/** The parts of commands that are compared: of deciders and ids only those that are wanted. */
function comparable(
  commands: readonly ExpectedCommand[],
  wanted: readonly ExpectedCommand[],
): unknown {
  return commands.map(({ actorId, command, key, decider, commandId }, at) => ({
    ...{ actorId, command: plain(command) },
    ...(key !== undefined && { key }),
    ...(wanted[at]?.decider !== undefined && { decider }),
    ...(wanted[at]?.commandId !== undefined && { commandId }),
  }));
}

/** The parts of the ids, so that a message can show them; the order is none. */
function targetsOf(commands: readonly Outgoing[]): unknown {
  const targets = withKeys(commands).map(({ outgoing: { actorId }, key }) => ({ actorId, key }));
  return targets.sort((a, b) => show(a) < show(b) ? -1 : 1);
}
