import type { EventDraft } from "../append.ts";
import type { Event } from "../event.ts";

/** How the events of an actor make up its state: {@linkcode rehydrate} folds by it. */
export interface Evolution<State, E extends Event = Event> {
  /** Returns the state of an actor without events. */
  readonly initialState: () => State;
  /**
   * Returns the state after `event`, best a new one. It may also change the state that it is given
   * and return that: after a refused save, the library then reads the actor's events again.
   *
   * The library keeps the state, and gives a copy of it to everybody else: to `decide`, to the
   * caller, to a snapshot store. That takes about 0.2 µs for each object in it. To save that in a
   * large state, return it frozen (`Object.freeze`): the library freezes all plain objects and arrays
   * in it and hands it out as it is. One with maps, sets, dates or bytes in it is copied all the same,
   * because freezing does not reach their content. Instances of classes are shared, so keep them
   * immutable; a state that is one itself is not kept for the next command, unless it is frozen.
   */
  readonly evolve: (state: State, event: E) => State;
}

/** The events that a command leads to: several, one, or none (`[]`). All are saved at once. */
export type Decision<E extends Event = Event> = readonly EventDraft<E>[] | EventDraft<E>;

/**
 * The rules of one kind of actor, as plain functions: how its events make up its state, and which
 * events a command leads to. {@linkcode execute} runs commands by it. TypeScript infers `State`,
 * `Command` and events from end to end, so that data that an event type does not have is a
 * compile error.
 *
 * @typeParam State The state that decisions are based on; anything that `evolve` can build.
 * @typeParam Command The commands that the actor takes, usually a union.
 * @typeParam E The union of the actor's events.
 *
 * @example A cart
 * ```ts
 * import { type Decider, type Event, execute, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * type CartEvent =
 *   | Event<"ItemAdded", { sku: string; price: number }>
 *   | Event<"CartCheckedOut", null>;
 * type CartCommand = { type: "add"; sku: string; price: number } | { type: "checkOut" };
 * type Cart = { total: number; open: boolean };
 *
 * const cart: Decider<Cart, CartCommand, CartEvent> = {
 *   initialState: () => ({ total: 0, open: true }),
 *   evolve: (state, event) => {
 *     switch (event.eventType) {
 *       case "ItemAdded":
 *         return { ...state, total: state.total + event.data.price };
 *       case "CartCheckedOut":
 *         return { ...state, open: false };
 *     }
 *   },
 *   decide: (command, state) => {
 *     if (!state.open) throw new Error("The cart is checked out");
 *     if (command.type === "checkOut") return { eventType: "CartCheckedOut", data: null };
 *     const { sku, price } = command;
 *     return { eventType: "ItemAdded", data: { sku, price } };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await execute(store, "cart-7", cart, { type: "add", sku: "pen", price: 2 });
 * const { state, version } = await execute(store, "cart-7", cart, { type: "checkOut" });
 * console.log(state, version); // { total: 2, open: false } 2
 * ```
 */
export interface Decider<State, Command, E extends Event = Event> extends Evolution<State, E> {
  /**
   * Returns the events that `command` leads to in `state`, without version or actor; throws to
   * refuse. Pure: it is called again when another writer was faster, with a copy of the command and
   * of the new state each time. It may be asynchronous,
   * and should then be quick, because the next command of the actor waits for it.
   */
  readonly decide: (command: Command, state: State) => Decision<E> | Promise<Decision<E>>;
}
