/** The same callback of the caller's, which cannot do harm by throwing: that is only warned of. */
export function guarded<Args extends readonly unknown[]>(
  callback: (...args: Args) => void,
): (...args: Args) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      console.warn("A callback threw:", error);
    }
  };
}
