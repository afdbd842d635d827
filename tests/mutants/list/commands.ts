/** Mutants of commands: known ones, landmarks, doubt, receipts, call chains. */
import type { Mutant } from "../mutant.ts";

const KNOWN = "cluster/commands/known_commands.ts";
const TURN = "cluster/commands/command_turn.ts";
const ROUTER = "cluster/commands/router.ts";
const ACTORS_TESTS = ["tests/cluster/commands/actors_test.ts"];
const ROUTER_TESTS = ["tests/cluster/commands/router_test.ts"];
const OUTCOME_TESTS = ["tests/store/command/execute_outcome_test.ts"];
const ID_TESTS = ["tests/store/command/command_id_test.ts"];

/** Faults in what is handled once. */
export const COMMANDS: readonly Mutant[] = [
  {
    name: "a command that is not looked for",
    file: TURN,
    find: "  if (await commands.has(message)) {",
    replace: "  if (!commands) {",
    tests: ACTORS_TESTS,
    why: "A command that comes again would be handled twice.",
  },
  {
    name: "a landmark that is trusted in doubt",
    file: KNOWN,
    find: "const isSure = isDoubtful !== true || this.#since === 0 ||",
    replace: "const isSure = isDoubtful !== undefined || this.#since === 0 ||",
    tests: ACTORS_TESTS,
    filter: "a landmark that the stream lacks",
    why: "After a restore the landmark means nothing: the command would be handled twice.",
  },
  {
    name: "a landmark that hides its own message",
    file: KNOWN,
    find: "await this.#reach(isSure ? messageSequenceOf(landmark.sequence) : 0);",
    replace: "await this.#reach(isSure ? messageSequenceOf(landmark.sequence) + 1 : 0);",
    tests: ACTORS_TESTS,
    why: "The event right behind the landmark may be the command's own.",
  },
  {
    name: "a given id that is not searched for deeply",
    file: KNOWN,
    find:
      "if (isGiven === true || (since ?? landmark) === undefined) await this.#reach(undefined);",
    replace: "if ((since ?? landmark) === undefined) await this.#reach(undefined);",
    tests: ACTORS_TESTS,
    why: "An id of the user's own may be older than any landmark.",
  },
  {
    name: "a search that outlives what it has read",
    file: KNOWN,
    find: "    if (forgotten !== this.#forgotten) return await this.#reach(after);\n",
    replace: "    void forgotten;\n",
    tests: ["tests/cluster/commands/known_commands_test.ts"],
    why: "Events that came while the search ran, at an unknown outcome, would be overlooked.",
  },
  {
    name: "dropped commands that count as known",
    file: KNOWN,
    find: "      this.#since = Math.max(this.#since, last);\n",
    replace: "      void last;\n",
    tests: ACTORS_TESTS,
    why: "A command that was dropped from memory would be handled again.",
  },
  {
    name: "an unknown outcome that is answered",
    file: TURN,
    find: 'const answer = isOpen && (result.status === "fulfilled" || isPresent())',
    replace: "const answer = isOpen && !isPresent()",
    tests: ACTORS_TESTS,
    why: "The next try would run while the first one may still be stored.",
  },
  {
    name: "an unknown outcome that forgets nothing",
    file: TURN,
    find: "  commands.forget();\n  return retryFor",
    replace: "  return retryFor",
    tests: ACTORS_TESTS,
    why: "The events of the first try would be overlooked by the second one.",
  },
  {
    name: "doubt that does not reach the sender",
    file: TURN,
    find: 'answer: answer.kind === "retry" && isDoubtful ? { ...answer, isDoubtful } : answer,',
    replace: "answer,",
    tests: ACTORS_TESTS,
    why: "The next owner would trust a landmark, and handle the command twice.",
  },
  {
    name: "an answer that nobody confirms",
    file: TURN,
    find: "    await confirm(shard);\n",
    replace: "    void confirm;\n",
    tests: ACTORS_TESTS,
    why: "A deposed owner would answer from reads that others have made outdated.",
  },
  {
    name: "a handler of a former claim that saves",
    file: TURN,
    find: "  if (isPresent()) return;\n  throw new FencedError(",
    replace: "  if (isPresent() || shard >= 0) return;\n  throw new FencedError(",
    tests: ACTORS_TESTS,
    why: "It decided before others wrote, and its fence is valid again: an update is lost.",
  },
  {
    name: "an attempt without an answer that counts as not made",
    file: ROUTER,
    find: "            isDoubtful = true;\n            asked.add(owner);",
    replace: "            asked.add(owner);",
    tests: ROUTER_TESTS,
    why: "The caller would hear that a command was not handled that may have been.",
  },
  {
    name: "a lost mark of doubt from the owner",
    file: ROUTER,
    find: "if (answer.isDoubtful === true) isDoubtful = true;",
    replace: "if (answer.isDoubtful === false) isDoubtful = true;",
    tests: ROUTER_TESTS,
    why: "The next owner would not look for events that the first one may have stored.",
  },
  {
    name: "doubt that is left out to save room",
    file: ROUTER,
    find: "return encodeMessage({ id, actorId, command, ...(trace && { trace }), isDoubtful });",
    replace:
      "void isDoubtful;\n  return encodeMessage({ id, actorId, command, ...(trace && { trace }) });",
    tests: ROUTER_TESTS,
    why: "A large command would be handled twice when its answer is lost.",
  },
  {
    name: "a command that brings down every node",
    file: ROUTER,
    find: "if (asked.crashed.length >= MAX_CRASHES) {",
    replace: "if (asked.crashed.length > 1_000) {",
    tests: ROUTER_TESTS,
    why: "A command whose handler crashes its node would go from node to node.",
  },
  {
    name: "a call cycle that waits for itself",
    file: "cluster/commands/actors.ts",
    find: "    if (waits === true) {",
    replace: "    if (waits === undefined) {",
    tests: ACTORS_TESTS,
    why: "Two actors that call each other would wait for ever.",
  },
  {
    name: "a command of unknown age that is not looked for",
    file: "store/command/known_commands.ts",
    find: "    if (after === undefined && this.#isDeep) return;\n",
    replace: "    if (after === undefined || this.#isDeep) return;\n",
    tests: ID_TESTS,
    why: "A command of unknown age would not be looked for, and handled twice.",
  },
  {
    name: "known commands of execute() that are dropped and count as known",
    file: "store/command/known_commands.ts",
    find: "      this.#since = Math.max(this.#since, messages.at(-1)!);\n",
    replace: "      void messages;\n",
    tests: ["tests/store/command/known_commands_test.ts"],
    why: "A command that was dropped from memory would be handled again.",
  },
  {
    name: "a recorded refusal that is told as done",
    file: "store/command/handled_before.ts",
    find: 'if (recorded?.kind === "refused") {',
    replace: 'if (recorded?.kind === "refused" && recorded.failure.name === "") {',
    tests: ID_TESTS,
    why: "A command that was refused would be told as done when it comes again.",
  },
  {
    name: "a cause of another store that bounds the search",
    file: "store/command/handled_before.ts",
    find: "    if (cause.identity !== this.#store.identity) return undefined;\n",
    replace: "",
    tests: ID_TESTS,
    why: "A position of another store means nothing: the command would be handled twice.",
  },
  {
    name: "one unknown try of several that decides",
    file: "store/command/unknown_saves.ts",
    find: '      if (outcome === "saved") return outcome;\n',
    replace: '      if (outcome !== "unknown") return outcome;\n',
    tests: ["tests/store/command/unknown_saves_test.ts"],
    why: "A stored command would be told as not saved.",
  },
  {
    name: "the same command twice in one save",
    file: "store/command/plan.ts",
    find: "    if (commandId !== undefined && ids.has(commandId)) break;\n",
    replace: "",
    tests: ["tests/store/command/known_commands_test.ts"],
    why: "A command that is sent twice at once would be handled twice.",
  },
];
