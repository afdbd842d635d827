/**
 * A bank on three processes: transfers go on while one of them is killed, and no money is lost
 * or made. Run it by `deno task cluster`, which needs no server: it starts one.
 *
 * @module
 */

import { isAetherError, JetStreamEventStore, rehydrate } from "@flowmade-one/aether";
import { Cluster } from "@flowmade-one/aether/cluster";
import { connect } from "@nats-io/transport-node";
import { NatsServer } from "../tools/nats_server.ts";
import type { AccountCommand, AccountEvent } from "./cluster_node.ts";

const ACCOUNTS = Array.from({ length: 12 }, (_, at) => `account-${at}`);
const OPENING = 100;
/** How long money is moved before and after the kill, in ms. */
const SPELL = Number(Deno.env.get("SPELL") ?? 4_000);

const server = await NatsServer.start();
const nodes = new Map(["node-1", "node-2", "node-3"].map((nodeId) => [nodeId, start(nodeId)]));
const connection = await connect({ servers: server.url, maxReconnectAttempts: -1 });
// With a capacity of 0 this process has no shards: it sends commands, and prints events of the
// cluster.
const bank = await Cluster.join(connection, { namespace: "bank", nodeId: "teller", capacity: 0 });
const transfers = { done: 0, refused: 0 };
/** Why the last transfer was refused. */
let refusal = "";

await settled();
for (const account of ACCOUNTS) await ask(account, { type: "deposit", amount: OPENING });
console.log(`${ACCOUNTS.length} accounts with ${OPENING} each`);
const screen = setInterval(show, 500);
const ends = new AbortController();
const tellers = ACCOUNTS.map((from) => transferFrom(from, ends.signal));
await pause(SPELL);
// The leader, for it is the worst one to lose.
const victim = [...nodes.keys()].find((nodeId) => nodeId === bank.leader?.nodeId) ?? "node-1";
console.log(`kill -9 ${victim}`);
nodes.get(victim)!.kill("SIGKILL");
nodes.delete(victim);
await settled();
await pause(SPELL);
ends.abort();
await Promise.all(tellers);
clearInterval(screen);
show();
if (transfers.refused > 0) console.log(`refused for too little money, the last ${refusal}`);
console.log(`total ${await total()} of ${ACCOUNTS.length * OPENING}`);

await Promise.all([...nodes.values()].map(leave));
await bank.leave();
await connection.close();
await server[Symbol.asyncDispose]();

/** Moves money until `signal` is aborted; each half of a transfer happens once. */
async function transferFrom(from: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const to = ACCOUNTS[Math.floor(Math.random() * ACCOUNTS.length)]!;
    const amount = 1 + Math.floor(Math.random() * 60);
    try {
      await ask(from, { type: "withdraw", amount });
    } catch (error) {
      // A rule of the account; whatever else fails ends the demo.
      if (!isAetherError(error, "CommandFailedError")) throw error;
      if (error.failure.name !== "RangeError") throw error;
      transfers.refused++;
      refusal = `${from}: ${error.failure.message}`;
      await pause(5);
      continue;
    }
    await ask(to, { type: "deposit", amount });
    transfers.done++;
  }
}

/** Has a command handled, over moves and crashes. */
async function ask(account: string, command: AccountCommand): Promise<unknown> {
  return await bank.send(account, command, { timeout: 60_000 });
}

/** Prints one line. */
function show(): void {
  const { view, leader, map } = bank.describe();
  const shares = [...map.owned].map(([nodeId, count]) => `${nodeId} ${count}`).sort().join(", ");
  const members = view.members.map(({ nodeId }) => nodeId).join(" ");
  // A killed leader has its lease until that expires, and does not lead any more.
  const leads = leader !== undefined && nodes.has(leader.nodeId) ? leader.nodeId : "none";
  console.log(
    `members ${members} | leader ${leads} | shards ${shares} | ` +
      `transfers ${transfers.done} (${transfers.refused} refused: too little money)`,
  );
}

/** The balance of all accounts, from the events themselves. */
async function total(): Promise<number> {
  await using store = await JetStreamEventStore.open(connection, { namespace: "bank" });
  let sum = 0;
  for (const account of ACCOUNTS) {
    const { state } = await rehydrate<number, AccountEvent>(store, account, {
      initialState: () => 0,
      evolve: (balance, { eventType, data }) =>
        eventType === "Deposited" ? balance + data.amount : balance - data.amount,
    });
    sum += state;
  }
  return sum;
}

/** Resolves when all shards are shared out among the nodes that run. */
async function settled(): Promise<void> {
  for (;;) {
    const { map: { owned, free } } = bank.describe();
    const has = (nodeId: string) => (owned.get(nodeId) ?? 0) > 0;
    if (free === 0 && owned.size === nodes.size && [...nodes.keys()].every(has)) return;
    await pause(20);
  }
}

function start(nodeId: string): Deno.ChildProcess {
  const script = new URL("./cluster_node.ts", import.meta.url).pathname;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const args = ["run", "-A", "--config", config, script, server.url, nodeId];
  return new Deno.Command(Deno.execPath(), { args, stdin: "piped" }).spawn();
}

/** The end of its input makes the process leave. */
async function leave(node: Deno.ChildProcess): Promise<void> {
  await node.stdin.close();
  await node.status;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
