/**
 * All mutants.
 *
 * @module
 */

import type { Mutant } from "../mutant.ts";
import { MEMBERSHIP } from "./membership.ts";

/** Every mutant that some test has to notice. */
export const MUTANTS: readonly Mutant[] = [
  ...MEMBERSHIP,
];
