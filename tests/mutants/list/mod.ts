/**
 * All mutants.
 *
 * @module
 */

import type { Mutant } from "../mutant.ts";
import { COMMANDS } from "./commands.ts";
import { FENCING } from "./fencing.ts";
import { MEMBERSHIP } from "./membership.ts";
import { PROCESS, TIMER } from "./process.ts";
import { PLACES, PROJECTION } from "./projection.ts";
import { READ } from "./read.ts";
import { SAVE } from "./save.ts";
import { SHARDING } from "./sharding.ts";

/** Every mutant that some test has to notice. */
export const MUTANTS: readonly Mutant[] = [
  ...SAVE,
  ...READ,
  ...FENCING,
  ...COMMANDS,
  ...PROCESS,
  ...TIMER,
  ...PROJECTION,
  ...PLACES,
  ...MEMBERSHIP,
  ...SHARDING,
];
