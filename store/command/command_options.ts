import type { CommandLog } from "../command_log.ts";
import { freshCopy } from "../base/fresh.ts";
import { asGiven } from "../base/given.ts";
import { textOf } from "../base/text.ts";
import { tokenProblem } from "../base/token.ts";
import { timestampProblem } from "../format/decode.ts";
import type { ExecuteOptions } from "./pending_command.ts";

/**
 * Refuses options that cannot be.
 *
 * @throws {RangeError} The command's id, its deadline or the expected version is impossible.
 * @throws {TypeError} An option needs another one, or a store that keeps commands.
 */
export function checkCommand(options: ExecuteOptions, log: CommandLog | undefined): void {
  const { timeout = 10_000, commandId, cause, expectedVersion, record } = options;
  // A text compares as a number does, and is none.
  if (typeof timeout !== "number" || !(timeout >= 1 && timeout < 2 ** 31)) {
    throw refused(RangeError, `timeout is ${textOf(timeout)}, not from 1 to ${2 ** 31 - 1}`);
  }
  const isVersion = Number.isSafeInteger(expectedVersion) && expectedVersion! >= 0;
  if (expectedVersion !== undefined && !isVersion) {
    throw refused(
      RangeError,
      `expectedVersion is ${expectedVersion}, not a safe integer of 0 or more`,
    );
  }
  if (commandId === undefined) {
    if (cause === undefined && record !== true) return;
    throw refused(TypeError, "cause and record need a commandId");
  }
  const problem = tokenProblem(commandId);
  if (problem !== undefined) throw refused(RangeError, `its commandId ${problem}`);
  if (log === undefined) {
    throw refused(TypeError, "a commandId needs a store of this library, which keeps it");
  }
  if (cause !== undefined && causeProblem(cause)) {
    throw refused(TypeError, "its cause is neither a date nor { identity, sequence, id }");
  }
}

/** The options as they are when the command is given: the caller may use its objects again at once. */
export function ownOptions<
  Options extends Pick<ExecuteOptions, "metadata" | "cause" | "snapshots">,
>(options: Options): Options {
  const own = asGiven(options);
  const { metadata, cause, snapshots } = own;
  return {
    ...own,
    ...(metadata !== undefined && { metadata: ownCopy(metadata) }),
    ...(cause !== undefined && { cause: ownCopy(cause) }),
    ...(snapshots !== undefined && { snapshots: asGiven(snapshots) }),
  };
}

/** A command as it is when it is given; one that is frozen stays what it is. */
export function ownCopy<T>(value: T): T {
  return Object.isFrozen(value) ? value : freshCopy(value);
}

/** Whether `cause` is neither a date nor the place of an event. */
export function causeProblem(cause: NonNullable<ExecuteOptions["cause"]>): boolean {
  const { identity, sequence, id } = (cause ?? {}) as unknown as Record<string, unknown>;
  const isEvent = typeof identity === "string" && Number.isSafeInteger(sequence) &&
    (sequence as number) >= 0 && tokenProblem(id) === undefined;
  // Asked second: to find that something is no date takes an error.
  return !isEvent && timestampProblem(cause) !== undefined;
}

function refused(Class: new (message: string) => Error, reason: string): Error {
  return new Class(`Cannot execute the command: ${reason}`);
}
