/** Bytes that PostgreSQL keeps of a name, less the room for `_v` and a version. */
const LONGEST = 50;

/** The name of a table or a view, as statements take it, with its schema if it has one. */
export interface TableName {
  /** Its schema; `undefined` for the first one of the search path. */
  readonly schema: string | undefined;
  /** Its own name. */
  readonly name: string;
}

/**
 * Reads a table's name. Only lower-case ones pass: they mean the same with quotes and without, and
 * no text of them changes a statement.
 *
 * @throws {RangeError} It is no such name.
 */
export function tableName(name: string, { schemas }: { readonly schemas: boolean }): TableName {
  const parts = typeof name === "string" ? name.split(".") : [];
  const isName = parts.length > 0 && parts.length <= (schemas ? 2 : 1) &&
    parts.every((part) => part.length <= LONGEST && /^[a-z_][a-z0-9_]*$/.test(part));
  if (!isName) {
    throw new RangeError(
      `Cannot use ${
        JSON.stringify(name)
      } as a table's name: it takes up to ${LONGEST} lower-case ` +
        `letters, digits and _, and begins with no digit`,
    );
  }
  const [schema, own] = parts.length === 2 ? parts : [undefined, parts[0]];
  return { schema, name: own! };
}

/** The name in quotes, so that it may be a word of SQL's own. */
export function quoted({ schema, name }: TableName): string {
  return schema === undefined ? `"${name}"` : `"${schema}"."${name}"`;
}

/** The table of one version of a read model that is named `of`. */
export function versionOf(of: TableName, version: number): TableName {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new RangeError(`Cannot name the table of version ${version}: it is not 1 or more`);
  }
  return { ...of, name: `${of.name}_v${version}` };
}

/** The version whose table has this name; `undefined` if it is no table of a version. */
export function versionIn(of: TableName, name: string): number | undefined {
  const digits = name.startsWith(`${of.name}_v`) ? name.slice(of.name.length + 2) : "";
  return /^[1-9]\d*$/.test(digits) ? Number(digits) : undefined;
}
