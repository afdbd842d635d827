import { MAIN, ORDER, VIEW } from "./program.ts";
import { TESTS } from "./tests.ts";

/** The runtime of a project. */
export type Runtime = "deno" | "node";

/** The release of this package that a new project asks for. */
export const RELEASE = "^0.1.0";
/** The release of NATS's transport that it asks for. */
export const TRANSPORT = "^3.4.0";

const COMPOSE =
  `# A nats-server for development: docker compose up. It needs no password, and listens here alone.
services:
  nats:
    image: nats:2.15-alpine
    command: ["--jetstream", "--store_dir", "/data"]
    ports: ["127.0.0.1:4222:4222"]
    volumes: ["data:/data"]
volumes:
  data:
`;

const IGNORED = `.aether/
node_modules/
orders.db*
`;

/** The files of a new project by their names. */
export function templateFiles(name: string, runtime: Runtime): Record<string, string> {
  const own: Record<string, string> = runtime === "deno" ? denoFiles(name) : nodeFiles(name);
  return {
    "README.md": readme(name, runtime),
    "order.ts": ORDER,
    "orders_view.ts": VIEW,
    "main.ts": MAIN.replace("NAME", name),
    "order.test.ts": TESTS,
    "compose.yaml": COMPOSE,
    ".gitignore": IGNORED,
    ...own,
  };
}

function denoFiles(name: string): Record<string, string> {
  return {
    "deno.json": json({
      imports: {
        "@flowmade-one/aether": `jsr:@flowmade-one/aether@${RELEASE}`,
        "@nats-io/transport-node": `npm:@nats-io/transport-node@${TRANSPORT}`,
      },
      tasks: {
        dev: `deno run -A jsr:@flowmade-one/aether@${RELEASE}/cli dev --namespace ${name}`,
        start: "deno run -A main.ts",
        test: "deno test -A",
        check: "deno check .",
      },
      compilerOptions: { noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
    }),
  };
}

function nodeFiles(name: string): Record<string, string> {
  return {
    "package.json": json({
      name,
      private: true,
      type: "module",
      engines: { node: ">=22.18" },
      scripts: {
        dev: `node node_modules/@flowmade-one/aether/cli/main.js dev --namespace ${name}`,
        start: "node main.ts",
        test: "node --test",
        check: "tsc",
      },
      dependencies: {
        "@flowmade-one/aether": `npm:@jsr/flowmade-one__aether@${RELEASE}`,
        "@nats-io/transport-node": TRANSPORT,
      },
      devDependencies: { "@types/node": "^22.18.0", typescript: "~6.0.0" },
    }),
    ".npmrc": "@jsr:registry=https://npm.jsr.io\n",
    "tsconfig.json": json({
      compilerOptions: {
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        module: "nodenext",
        target: "es2022",
        lib: ["es2024", "esnext.disposable"],
        types: ["node"],
        noEmit: true,
        allowImportingTsExtensions: true,
        erasableSyntaxOnly: true,
        skipLibCheck: true,
      },
      include: ["*.ts"],
    }),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function readme(name: string, runtime: Runtime): string {
  const run = runtime === "deno" ? "deno task" : "npm run";
  const first = runtime === "deno" ? "" : "npm install\n";
  return `# ${name}

\`\`\`sh
${first}${run} test
${run} dev   # a nats-server and a page on http://127.0.0.1:4280, until Ctrl-C
${run} start # in another terminal
\`\`\`

- \`order.ts\`: what an order is, a decider.
- \`orders_view.ts\`: the table of orders, a projection into SQLite.
- \`order.test.ts\`: tests of both, without a server and on one.
- \`main.ts\`: places and pays an order, and shows all.
`;
}
