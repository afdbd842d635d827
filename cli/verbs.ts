import type { Verb } from "./verb.ts";
import { actors } from "./verbs/actors.ts";
import { cluster } from "./verbs/cluster.ts";
import { dev } from "./verbs/dev.ts";
import { exportVerb } from "./verbs/export.ts";
import { importVerb } from "./verbs/import.ts";
import { inspect } from "./verbs/inspect.ts";
import { newVerb } from "./verbs/new.ts";
import { processes } from "./verbs/processes.ts";
import { projections } from "./verbs/projections.ts";
import { restored } from "./verbs/restored.ts";
import { show } from "./verbs/show.ts";
import { tail } from "./verbs/tail.ts";
import { verify } from "./verbs/verify.ts";
import { why } from "./verbs/why.ts";

/** The verbs, by name. */
export const VERBS: Readonly<Record<string, Verb>> = {
  ...{ new: newVerb, dev },
  ...{ actors, show, tail, why, projections, processes, cluster, verify, restored, inspect },
  ...{ export: exportVerb, import: importVerb },
};
