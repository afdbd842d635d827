import { verify as verifyStore } from "../../store/mod.ts";
import { safe } from "../output.ts";
import { numberIn, type Verb } from "../verb.ts";

/** `aether verify`. */
export const verify: Verb = {
  usage: "",
  summary: "Checks all that is stored against the rules of the storage format",
  details: "Changes nothing, and may run beside writers. Ends with 1 if a rule is broken.",
  words: [0, 0],
  options: {
    from: { type: "string", value: "POSITION", description: "Begin there: the `next` of a report" },
  },
  examples: ["aether verify --namespace shop", "aether verify --json > report.json"],
  async run({ values, output, signal, open }) {
    const from = numberIn(values, "from", undefined);
    const store = await open();
    const work = verifyStore(store, { ...(from !== undefined && { from }), signal });
    for await (const { position, end, rate, problemCount } of work) {
      output.progress(() =>
        `${Math.floor(100 * position / Math.max(1, end))} %, ${
          Math.round(rate)
        } events a second, ` +
        `${problemCount} problems`
      );
    }
    const report = await work;
    if (output.json) output.item("", report);
    for (const { rule, sequence, message, advice } of output.json ? [] : report.problems) {
      output.line(output.red(`${rule} at ${sequence}: ${safe(message)}`));
      output.line(`  ${safe(advice)}`);
    }
    const { ok, events, actors, problemCount, next } = report;
    output.line(
      `${events} events of ${actors} actors are checked: ` +
        (ok ? "no rule is broken" : `${problemCount} problems`) + `; next is ${next}`,
    );
    return ok ? 0 : 1;
  },
};
