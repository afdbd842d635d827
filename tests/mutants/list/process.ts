/** Mutants of processes, timers, projections, snapshots and buckets. */
import type { Mutant } from "../mutant.ts";

const INPUTS = "store/process/inputs.ts";
const LEDGER = "store/process/ledger.ts";
const AGENDA = "store/process/agenda.ts";
const OPEN_WORK = "store/process/open_work.ts";
const WORK_QUEUE = "store/process/work_queue.ts";
const DEADLINES = ["tests/store/process/deadline_test.ts"];
const MANAGER = ["tests/store/process/manager_test.ts"];
const EFFECTS = ["tests/store/process/effect_test.ts"];
const REACTOR = ["tests/store/process/reactor_test.ts"];

/** Faults in inputs, outgoing commands, effects and deadlines of processes. */
export const PROCESS: readonly Mutant[] = [
  {
    name: "a deadline that comes early",
    file: OPEN_WORK,
    find: "        if (now < at) {\n",
    replace: "        if (now < at - 60_000) {\n",
    tests: DEADLINES,
    filter: "a deadline comes in its time, and not before (memory)",
    why: "A customer would be reminded, or charged, before the time.",
  },
  {
    name: "a deadline that was set again and fires for its first setting",
    file: INPUTS,
    find: "if (deadlines.get(input.name)?.version !== taking.setAt) return alone([]);",
    replace: "if (deadlines.get(input.name) === undefined) return alone([]);",
    tests: DEADLINES,
    filter: "control: a late firing",
    why: "A deadline that was moved would fire at its old time too.",
  },
  {
    name: "a cleared deadline that fires",
    file: INPUTS,
    find: "if (deadlines.get(input.name)?.version !== taking.setAt) return alone([]);",
    replace:
      "if ((deadlines.get(input.name)?.version ?? taking.setAt) !== taking.setAt) return alone([]);",
    tests: ["tests/store/process/inputs_test.ts"],
    why: "A deadline that is not wanted any more would have an effect.",
  },
  {
    name: "a fired deadline that stays set",
    file: INPUTS,
    find:
      "        taken.push({ eventType: LedgerType.deadlineCleared, data: { name: input.name } });",
    replace: "        void LedgerType.deadlineCleared;",
    tests: DEADLINES,
    filter: "(memory)",
    why: "It would fire again after each restart.",
  },
  {
    name: "deadlines that outlive their process",
    file: LEDGER,
    find: "          ...{ ...before, deadlines: new Map(), parked: undefined },",
    replace: "          ...{ ...before, parked: undefined },",
    tests: DEADLINES,
    filter: "(memory)",
    why: "A process that has ended would be woken again.",
  },
  {
    name: "an agenda that forgets what is open on a takeover",
    file: AGENDA,
    find: "      for (const item of known.items) held.open(item);\n",
    replace: "      void known.items;\n",
    tests: ["tests/store/process/agenda_test.ts"],
    why: "What was open when a program ended would never be done.",
  },
  {
    name: "an index ahead of its checkpoint that is gone through again",
    file: AGENDA,
    find: "    if (event.sequence <= held.sequence) return;\n",
    replace: "",
    tests: ["tests/store/process/agenda_test.ts"],
    why: "A deadline that had replaced another one would be lost over a crash.",
  },
  {
    name: "a replica that lags taken for a history that has lost an event",
    file: "store/process/known_history.ts",
    find: "    await reach(store, actorId, version);\n    found = await find({ limit: 1 });",
    replace: "    return undefined;",
    tests: ["tests/store/process/agenda_test.ts"],
    why: "A deadline that another program has set just now would never come.",
  },
  {
    name: "deadlines that wait behind commands to a receiver out of reach",
    file: WORK_QUEUE,
    find: '  if (deadline !== undefined) return "deadline";\n',
    replace: '  if (deadline !== undefined) return "command mail";\n',
    tests: ["tests/store/process/agenda_test.ts"],
    why: "The timeout that is set for just that case would not come.",
  },
  {
    name: "an index of another store",
    file: "store/process/open_index.ts",
    find: "    if (head?.identity !== this.#identity) return nothing;\n",
    replace: "    if (head === undefined) return nothing;\n",
    tests: ["tests/store/process/open_index_test.ts"],
    why: "After a restore, open commands of events that are gone would be sent.",
  },
  {
    name: "an index that is half written",
    file: "store/process/open_index.ts",
    find: "      if (chunk?.nonce !== head.nonce) return nothing;\n",
    replace: "      if (chunk === undefined) return nothing;\n",
    tests: ["tests/store/process/open_index_test.ts"],
    why: "Commands that are open would not be in the index, and never go out.",
  },
  {
    name: "an index that another program has written",
    file: "store/process/open_index.ts",
    find: "for (const isKnown of [this.#revisions.has(name), false]) {",
    replace: "for (const isKnown of [this.#revisions.has(name)]) {",
    tests: ["tests/store/process/open_index_test.ts"],
    why: "The next program would begin with what was open long ago.",
  },
  {
    name: "a list of parked processes from before a partition was taken over",
    file: "store/process/parked.ts",
    find: "if (takeovers !== this.#takeovers || revision < (this.#seen?.revision ?? 0)) return;",
    replace: "if (revision < (this.#seen?.revision ?? 0)) return;",
    tests: ["tests/store/process/parked_test.ts"],
    why: "A process that has ended would stay in the list for ever.",
  },
  {
    name: "a command without an id that hides a receipt",
    file: "store/command/actor_queue.ts",
    find: "    else this.#parts.memory?.peek(this.#actorId)?.forget();",
    replace: "    else if (this.#parts.memory) new HandledBefore(this.#store, " +
      "commandLogOf(this.#store)!, this.#actorId, this.#parts.memory).saved(plan, receipt);",
    tests: ["tests/store/command/command_id_test.ts"],
    why: "A command that was refused for good would be decided again, with another outcome.",
  },
  {
    name: "two commands of one lane at once",
    file: WORK_QUEUE,
    find: "items.size > 0 && busy === undefined && stopped === undefined;",
    replace: "items.size > 0 && stopped === undefined;",
    tests: ["tests/store/process/agenda_test.ts"],
    why: "The commands of a process to one actor would overtake each other.",
  },
  {
    name: "a parked process that takes inputs",
    file: INPUTS,
    find: "if (parked !== undefined && !isRetry) throw new ProcessHeld(id, parked);",
    replace:
      'if (parked !== undefined && !isRetry && id === "") throw new ProcessHeld(id, parked);',
    tests: MANAGER,
    filter: "(memory)",
    why: "Inputs would be taken out of their order.",
  },
  {
    name: "an ended process that lives again",
    file: INPUTS,
    find: "      if (ended !== undefined) return alone(taken);\n",
    replace: "",
    tests: MANAGER,
    filter: "never lives again (memory)",
    why: "A process that has ended would issue commands.",
  },
  {
    name: "a reply that is taken twice",
    file: INPUTS,
    find: "        if (!open.has(input.commandId)) return alone([]);\n",
    replace: "",
    tests: ["tests/store/process/inputs_test.ts"],
    why: "The same outcome would be two inputs.",
  },
  {
    name: "a command with another id at each try",
    file: INPUTS,
    find: 'const id = await uuidv8(["process", process, inputId, actorId, key]);',
    replace:
      'const id = await uuidv8(["process", process, inputId, actorId, key, crypto.randomUUID()]);',
    tests: ["tests/store/process/inputs_test.ts"],
    why: "A command that goes out again would be another one, and be handled twice.",
  },
  {
    name: "events of two actors with one id",
    file: "store/process/intake.ts",
    find: 'inputId: await uuidv8(["event", originOf(identity), actorId, version, eventId]),',
    replace:
      'inputId: await uuidv8(["event", identity, eventId]) + (version > 0 || actorId ? "" : ""),',
    tests: MANAGER,
    filter: "events of two actors with one id are two inputs (memory)",
    why: "The second event would be taken for the first, and have no effect.",
  },
  {
    name: "an effect that begins without a note",
    file: "store/process/errands.ts",
    find: "if (end === undefined && effect && await this.#start(actorId, effectId, signal)) {",
    replace:
      "if (end === undefined && effect && (await this.#start(actorId, effectId, signal) || true)) {",
    tests: EFFECTS,
    filter: "whose program died is unknown",
    why: "A payment would be made twice when its program dies.",
  },
  {
    name: "an effect that has ended and runs again",
    file: "store/process/errands.ts",
    find: "const called = open.get(effectId);",
    replace: "const called = open.get(effectId) ?? { started: false };",
    tests: EFFECTS,
    why: "A payment would be made again before its end is seen.",
    explained:
      "No start is stored for an effect that has ended, and its end is taken in once: this line spares work.",
  },
  {
    name: "an effect whose start is stored twice",
    file: LEDGER,
    find: "return effects.get(id)?.started === false",
    replace: "return effects.has(id)",
    tests: EFFECTS,
    filter: "(memory)",
    why: "Each of two programs would believe that it is the one to run the effect.",
  },
  {
    name: "a refusal that is not recorded",
    file: "store/process/dispatch.ts",
    find: "isCauseRead: true, metadata, signal, record: true },",
    replace: "isCauseRead: true, metadata, signal },",
    tests: REACTOR,
    filter: "a refusal is final",
    why: "A refused command would be carried out when it comes again.",
  },
  {
    name: "an outage that counts as the end",
    file: "store/process/dispatch.ts",
    find: "if (signal.aborted || !isPassing) throw error;",
    replace: "if (signal.aborted || isPassing || error) throw error;",
    tests: ["tests/store/process/ledger_test.ts"],
    why: "An outage would park events.",
  },
  {
    name: "a park that moves on",
    file: LEDGER,
    find: "retryStart(parked) <= change.at.sequence)",
    replace: "retryStart(parked) < 0)",
    tests: ["tests/store/process/ledger_test.ts"],
    why: "A retry would begin behind the first input that the process has missed.",
  },
  {
    name: "an unpark of another failure",
    file: LEDGER,
    find: "parked?.eventId !== change.eventId || parked.from !== change.from",
    replace: 'parked === undefined || change.eventId === ""',
    tests: ["tests/store/process/ledger_test.ts"],
    why: "A process that failed again meanwhile would go on without the failed input.",
  },
];

/** Faults in clocks and heaps of deadlines. */
export const TIMER: readonly Mutant[] = [
  {
    name: "a heap that puts the latest first",
    file: "store/timer/due_heap.ts",
    find: "      if (entries[above]!.at <= entry.at) break;\n",
    replace: "      if (entries[above]!.at >= entry.at) break;\n",
    tests: ["tests/store/timer/due_heap_test.ts"],
    why: "Deadlines would wait behind later ones.",
  },
  {
    name: "a heap that loses its order when it is emptied",
    file: "store/timer/due_heap.ts",
    find: "      if (entries[below]!.at >= last.at) break;\n",
    replace: "      if (entries[below]!.at <= last.at) break;\n",
    tests: ["tests/store/timer/due_heap_test.ts"],
    why: "Deadlines would come late.",
  },
  {
    name: "a server's clock by the end of its answer",
    file: "store/timer/clock.ts",
    find: "return time + Math.floor(performance.now() - at);",
    replace: "return time + Math.ceil(performance.now() - at) + 1_000;",
    tests: ["tests/store/timer/due_heap_test.ts"],
    filter: "never ahead",
    why: "A clock that is ahead of the server fires deadlines early.",
  },
  {
    name: "a server's clock that is asked once",
    file: "store/timer/clock.ts",
    find: "performance.now() - this.#sample.at > FRESH",
    replace: "this.#sample.at < -FRESH",
    tests: ["tests/store/timer/clock_test.ts"],
    why: "Clocks drift apart: deadlines would be early after some days.",
  },
  {
    name: "a clock that gives no time",
    file: "store/timer/guarded_clock.ts",
    find: 'if (typeof time === "number" && Math.abs(time) <= LAST) return time;',
    replace: 'if (typeof time !== "string" && LAST > 0) return time as number;',
    tests: ["tests/store/timer/clock_test.ts"],
    why: "With a clock that gives NaN, every deadline would be due.",
  },
  {
    name: "commands that pass one that did not go out",
    file: WORK_QUEUE,
    find: 'if (end === "stopped") lane.stopped = key;',
    replace: 'if (end === "stopped") lane.items.delete(key);',
    tests: ["tests/store/process/agenda_test.ts"],
    filter: "is not passed by later ones",
    why: "The commands of a process to one actor would overtake each other.",
  },
  {
    name: "a partition that is handed over before its effects have ended",
    file: AGENDA,
    find: "    waitFor(run);",
    replace: "    void waitFor;",
    tests: EFFECTS,
    filter: "while its manager is paused and resumed",
    why: "A payment that went through would count as unknown.",
  },
];
