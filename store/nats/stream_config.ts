import type { StreamConfig } from "@nats-io/jetstream";

/** The rules that the configuration of a stream has to meet. */
export interface StreamRules {
  /** The subjects that it keeps, exactly. */
  readonly subjects: readonly string[];
  /** Settings and the values that they must have. */
  readonly required: Readonly<Record<string, unknown>>;
  /** Settings that must be off, and the effect of each. */
  readonly forbidden: Readonly<Record<string, string>>;
}

/** Settings that must be off in every stream of this library, and the effect of each. */
export const FORBIDDEN = {
  no_ack: "saves are not acknowledged",
  mirror: "it is a copy of another stream",
  sources: "it takes in other streams",
  subject_transform: "it moves messages to other subjects",
  sealed: "nothing can be saved",
  mirror_direct: "reads may come from a copy",
  allow_msg_schedules: "messages can be stored later",
  allow_msg_counter: "bodies are taken for counters",
} as const;

/** How `config` breaks the rules; one sentence each. */
export function problemsOf(config: StreamConfig, rules: StreamRules): string[] {
  const settings = config as unknown as Record<string, unknown>;
  const problems: string[] = [];
  for (const [name, wanted] of Object.entries(rules.required)) {
    const actual = settings[name];
    // The server leaves out a setting without a limit, or writes it as 0.
    const isUnlimited = (value: unknown) => value === undefined || value === 0 || value === -1;
    if (actual !== wanted && !(isUnlimited(wanted) && isUnlimited(actual))) {
      problems.push(`${name} is ${JSON.stringify(actual)} and must be ${JSON.stringify(wanted)}`);
    }
  }
  for (const [name, effect] of Object.entries(rules.forbidden)) {
    const value = settings[name];
    if (value !== undefined && value !== false && value !== 0 && value !== null) {
      if (Array.isArray(value) && value.length === 0) continue;
      problems.push(`${name} is set, so ${effect}`);
    }
  }
  if (settings.persist_mode === "async") {
    problems.push('persist_mode is "async", so saves are acknowledged before they are stored');
  }
  const subjects = [...config.subjects ?? []].sort().join(" ");
  const wanted = [...rules.subjects].sort().join(" ");
  if (subjects !== wanted) problems.push(`its subjects are "${subjects}" and must be "${wanted}"`);
  return problems;
}
