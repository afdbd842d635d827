import type { Verb, VerbOption } from "./verb.ts";

/** The options of all verbs. */
export const COMMON: Readonly<Record<string, VerbOption>> = {
  namespace: { type: "string", value: "NAME", description: "The store's namespace (default)" },
  server: {
    ...{ type: "string", value: "URL" },
    description: "NATS servers ($NATS_URL, or nats://127.0.0.1:4222)",
  },
  context: { type: "string", value: "NAME", description: "A context of the `nats` command" },
  user: { type: "string", value: "NAME", description: "User; the password is $NATS_PASSWORD" },
  creds: { type: "string", value: "FILE", description: "Credentials of a JWT" },
  nkey: { type: "string", value: "FILE", description: "Seed of an NKey" },
  tlscert: { type: "string", value: "FILE", description: "Certificate of this client" },
  tlskey: { type: "string", value: "FILE", description: "Its key" },
  tlsca: { type: "string", value: "FILE", description: "Certificates to trust" },
  "inbox-prefix": { type: "string", value: "PREFIX", description: "Prefix of inboxes" },
  app: {
    ...{ type: "string", value: "MODULE" },
    description: "Your module: events, upcasters, codec, deciders, transform",
  },
  json: { type: "boolean", description: "Print JSON, a line each" },
  help: { type: "boolean", description: "Show this" },
};

/** All verbs in a line each, and the options of all. */
export function overview(verbs: Readonly<Record<string, Verb>>): string {
  const lines = Object.entries(verbs).map(([name, { usage, summary }]) =>
    `  ${`${name} ${usage}`.trim().padEnd(20)}${summary}`
  );
  return `aether VERB [WORDS] [OPTIONS]

${lines.join("\n")}

Options of all verbs:
${optionLines(COMMON)}

\`aether VERB --help\` shows more, \`aether --version\` the version. Ends with 0 if all is well,
with 1 if it failed or found a problem, and with 2 if the words make no sense.
`;
}

/** The help of one verb. */
export function helpOf(name: string, verb: Verb): string {
  const { usage, summary, details, options = {}, examples } = verb;
  const own = Object.keys(options).length === 0 ? "" : `\nOptions:\n${optionLines(options)}\n`;
  return `aether ${`${name} ${usage}`.trim()}

${summary}.${details === undefined ? "" : `\n${wrapped(details)}`}
${own}
Examples:
${examples.map((example) => `  ${example}`).join("\n")}
`;
}

function optionLines(options: Readonly<Record<string, VerbOption>>): string {
  return Object.entries(options).map(([name, { value, description }]) =>
    `  --${`${name}${value === undefined ? "" : ` ${value}`}`.padEnd(26)}${description}`
  ).join("\n");
}

/** Breaks text into lines of 100 characters at most. */
function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length > 100) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.join("\n");
}
