/**
 * A clock that all processes of the machine share and nobody can set. `performance.now()` begins
 * again in each process, and the wall clock can be set.
 *
 * @module
 */

const CLOCK_MONOTONIC = 1;

/** Why tests that need such a clock are left out here, or false. */
export const NO_MACHINE_CLOCK: string | false = Deno.build.os !== "linux" &&
  "needs the clock of Linux";

/** Opens the clock; gives the function that reads it, in ms. */
export function machineClock(): () => number {
  const libc = Deno.dlopen("libc.so.6", {
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  });
  const time = new BigInt64Array(2);
  return () => {
    if (libc.symbols.clock_gettime(CLOCK_MONOTONIC, time) !== 0) {
      throw new Error("Cannot read the machine's clock");
    }
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  };
}
