/**
 * A value as JSON, with the entries of a `Map` and the members of a `Set` as lists, and a `bigint` as
 * text, as codecs bring them; `undefined` if JSON has nothing for it.
 *
 * @throws {TypeError} It contains itself.
 */
export function plainJson(value: object): string;
export function plainJson(value: unknown): string | undefined;
export function plainJson(value: unknown): string | undefined {
  return JSON.stringify(
    value,
    (_, it) =>
      it instanceof Map || it instanceof Set ? [...it] : typeof it === "bigint" ? `${it}` : it,
  );
}
