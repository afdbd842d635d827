/** The folder of this project. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds `deno.json`. */
export const ROOT: string = dirname(dirname(fileURLToPath(import.meta.url)));
