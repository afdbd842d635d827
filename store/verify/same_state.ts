/** Whether two states are the same, piece by piece; what JSON leaves out does not count. */
export function isSameState(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime();
  if (one instanceof Map && other instanceof Map) return isSameState([...one], [...other]);
  if (one instanceof Set && other instanceof Set) return isSameState([...one], [...other]);
  if (one instanceof Map !== other instanceof Map || one instanceof Set !== other instanceof Set) {
    return false;
  }
  const [left, right] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => isSameState(left[name], right[name]));
}
