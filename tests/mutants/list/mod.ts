/**
 * All mutants.
 *
 * @module
 */

import type { Mutant } from "../mutant.ts";
import { COMMANDS } from "./commands.ts";
import { MEMBERSHIP } from "./membership.ts";
import { SAVE } from "./save.ts";
import { SHARDING } from "./sharding.ts";

/** Every mutant that some test has to notice. */
export const MUTANTS: readonly Mutant[] = [
  ...SAVE,
  ...MEMBERSHIP,
  ...SHARDING,
  ...COMMANDS,
];
