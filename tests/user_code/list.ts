/**
 * The functions that the library takes from its user, as its public types name them.
 *
 * @module
 */

/** The library implements these: their methods are no code of the user's. */
const OURS = [
  "DeciderGiven",
  "DeciderSpec",
  "DeciderWhen",
  "EventBus",
  "EventStore",
  "EventSubscription",
  "HandlerSubscription",
  "JsonCodec",
  "Leadership",
  "Lease",
  "EventDefinitions",
  "ProcessGiven",
  "ProcessSpec",
  "ProcessWhen",
  "SaveOutcomeUnknownError",
  "RichJsonCodec",
  "SchemaDefinitions",
  "SchemaVersions",
  "SealedCodec",
  "Subscription",
];

/** All functions that somebody else may have to write, over the entry points. */
export async function takenFunctions(entries: readonly string[]): Promise<string[]> {
  const root = new URL("../../", import.meta.url);
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...entries],
    cwd: root,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("deno doc has failed");
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as { nodes: Record<string, Doc> };
  const found = new Set(
    Object.values(nodes).flatMap(({ symbols }) => symbols.flatMap(functionsOf)),
  );
  return [...found].filter((name) => !OURS.includes(name.split(".")[0]!)).toSorted();
}

interface TsType {
  readonly kind: string;
  readonly value: unknown;
}
interface Param {
  readonly tsType?: TsType;
}
interface Method {
  readonly name: string;
  readonly params?: readonly Param[];
  readonly functionDef?: { readonly params: readonly Param[] };
}
interface Symbol_ {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly declarationKind: string;
    readonly def?: {
      readonly methods?: readonly Method[];
      readonly constructors?: readonly Method[];
      readonly properties?: readonly { readonly name: string; readonly tsType?: TsType }[];
      readonly params?: readonly Param[];
      readonly tsType?: TsType;
    };
  }[];
}
interface Doc {
  readonly symbols: readonly Symbol_[];
}

/** The functions in a public type that somebody else may have to write. */
function functionsOf({ name, declarations }: Symbol_): string[] {
  return declarations.flatMap(({ kind, declarationKind, def = {} }) => {
    if (declarationKind !== "export") return [];
    const takes = (params: readonly Param[] = []) =>
      params.some(({ tsType }) => isFunction(tsType));
    const { methods = [], constructors = [], properties = [] } = def;
    if (kind === "typeAlias") return isFunction(def.tsType) ? [name] : [];
    if (kind === "function") return takes(def.params) ? [name] : [];
    const fields = properties.filter(({ tsType }) => isFunction(tsType)).map((it) => it.name);
    const called = kind === "interface"
      ? methods.filter((it) => !it.name.startsWith("[")).map((it) => `${it.name}()`)
      : [...methods, ...constructors].filter((it) => takes((it.functionDef ?? it).params))
        .map((it) => it.name);
    return [...fields, ...called].map((field) => `${name}.${field}`);
  });
}

function isFunction(type: TsType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind === "fnOrConstructor") return true;
  const parts = Array.isArray(type.value) ? type.value as TsType[] : [type.value as TsType];
  const nested = ["union", "intersection", "parenthesized", "optional", "rest"];
  return nested.includes(type.kind) && parts.some(isFunction);
}
