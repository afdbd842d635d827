import { type Decider, type Event, execute } from "@flowmade-one/aether";
import { Cluster } from "@flowmade-one/aether/cluster";
import { connect } from "@nats-io/transport-node";

/** A command to an account. */
export type AccountCommand =
  | { readonly type: "balance" }
  | { readonly type: "deposit" | "withdraw"; readonly amount: number };

/** An event of an account. */
export type AccountEvent =
  | Event<"Deposited", { amount: number }>
  | Event<"Withdrawn", { amount: number }>;

const account: Decider<number, AccountCommand, AccountEvent> = {
  initialState: () => 0,
  evolve: (balance, { eventType, data }) =>
    eventType === "Deposited" ? balance + data.amount : balance - data.amount,
  decide: (command, balance) => {
    if (command.type === "balance") return [];
    const { amount } = command;
    if (command.type === "deposit") return { eventType: "Deposited", data: { amount } };
    if (amount > balance) throw new RangeError(`Cannot withdraw ${amount}: there is ${balance}`);
    return { eventType: "Withdrawn", data: { amount } };
  },
};

/** A process that serves accounts until the end of its input, then leaves. */
if (import.meta.main) {
  const [servers, nodeId] = Deno.args as [string, string];
  const connection = await connect({ servers, maxReconnectAttempts: -1 });
  const cluster = await Cluster.join(connection, { namespace: "bank", nodeId, lease: 5_000 });
  cluster.handle(async (command, { actorId, store }) => {
    const { state } = await execute(store, actorId, account, command as AccountCommand);
    return state;
  }, { onDuplicate: () => undefined });
  await Deno.stdin.read(new Uint8Array(1));
  await cluster.leave();
  await connection.close();
}
