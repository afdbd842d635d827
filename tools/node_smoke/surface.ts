/**
 * Writes the program that touches every public name of the package, for the smoke test on Node: `tsc` finds
 * the names whose types are missing there, Node those whose values are.
 *
 * A name without types does not fail by itself, as TypeScript takes it for `any`, which goes with everything.
 */
import { join } from "node:path";
import { deno } from "../command.ts";
import { ROOT } from "../root.ts";

/** The text in TypeScript's error about a name that is `any` here. */
export const UNTYPED = "does not satisfy the constraint 'never'";

/** Gives a label for each `any`, and `never` if there is none. */
const CHECK = `
// The usual \`0 extends 1 & T\` stays silent on a type that TypeScript could not resolve; keyof does not.
type IsAny<T> = [T] extends [never] ? false : symbol extends keyof T ? true : false;

/** The name if it is any itself, and each of its members that is any or gives any. */
type Untyped<Name extends string, T> = IsAny<T> extends true ? Name
  : {
    // The members that each class has from Error are Node's: prepareStackTrace() gives any.
    [Key in Exclude<keyof T, keyof typeof Error> & string]-?: IsAny<T[Key]> extends true
      ? \`\${Name}.\${Key}\`
      : T[Key] extends (...args: never) => infer Result
        ? IsAny<Result> extends true ? \`\${Name}.\${Key}()\` : never
      : never;
  }[Exclude<keyof T, keyof typeof Error> & string];

/** The result of a function, or the instance of a class. */
type Result<T> = T extends (...args: never) => infer R ? R
  : T extends abstract new (...args: never) => infer R ? R
  : undefined;

type Typed<Label extends never> = Label;

// Controls: this is how an any is found.
interface Control {
  readonly typed: string;
  readonly untyped: any;
  method(): any;
}
type Controls = [
  // @ts-expect-error: a name that is any
  Typed<Untyped<"control", any>>,
  // @ts-expect-error: a member that is any
  Typed<Untyped<"control", Pick<Control, "untyped">>>,
  // @ts-expect-error: a method that gives any
  Typed<Untyped<"control", Pick<Control, "method">>>,
  Typed<Untyped<"control", Pick<Control, "typed">>>,
];
`;

/** The part of the JSON of `deno doc` that is read here. */
interface Documentation {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly DocumentedName[] }>>;
}

interface DocumentedName {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly def: { readonly typeParams?: readonly unknown[] };
  }[];
}

/** The program; it names the package as Deno does. */
export async function surfaceProgram(): Promise<string> {
  const { name, exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const imports: string[] = [];
  const checks: string[] = [];
  const values: string[] = [];
  for (const [entry, file] of Object.entries<string>(exports)) {
    const alias = entry === "." ? "root" : entry.slice("./".length).replaceAll("/", "_");
    imports.push(`import * as ${alias} from ${JSON.stringify(join(name, entry))};`);
    for (const symbol of await namesOf(file)) {
      const label = `${alias}.${symbol.name}`;
      checks.push(...checksOf(label, symbol));
      if (symbol.declarations.some(({ kind }) => isValue(kind))) values.push(label);
    }
  }
  return [
    ...imports,
    CHECK,
    ...checks.map((check, at) => `export type Check${at} = Typed<${check}>;`),
    "",
    `const values: Record<string, unknown> = {`,
    ...values.map((label) => `  "${label}": ${label},`),
    `};`,
    `for (const [name, value] of Object.entries(values)) {`,
    `  if (value === undefined) throw new Error(\`Cannot find \${name} at run time\`);`,
    `}`,
    "",
  ].join("\n");
}

/** The names that an entry point exports; it throws if it finds none. */
async function namesOf(file: string): Promise<readonly DocumentedName[]> {
  const { stdout } = await deno(["doc", "--json", file]);
  const { nodes }: Documentation = JSON.parse(stdout);
  const names = Object.values(nodes).flatMap(({ symbols }) => symbols);
  if (names.length === 0) throw new Error(`Cannot find a public name in ${file}`);
  return names;
}

function* checksOf(label: string, { declarations }: DocumentedName): Generator<string> {
  const kinds = new Map(declarations.map(({ kind, def }) => [kind, def])); // overloads count once
  for (const [kind, def] of kinds) {
    if (isValue(kind)) {
      yield `Untyped<"typeof ${label}", typeof ${label}>`;
      yield `Untyped<"result of ${label}", Result<typeof ${label}>>`;
    }
    if (isType(kind)) {
      const parameters = def.typeParams?.map(() => "never") ?? []; // never meets every constraint
      const type = parameters.length > 0 ? `${label}<${parameters.join(", ")}>` : label;
      yield `Untyped<"${label}", ${type}>`;
    }
    if (!isValue(kind) && !isType(kind)) {
      throw new Error(`Cannot check ${label}: it is declared as ${kind}`);
    }
  }
}

function isValue(kind: string): boolean {
  return ["class", "function", "variable"].includes(kind);
}

function isType(kind: string): boolean {
  return ["class", "interface", "typeAlias"].includes(kind);
}
