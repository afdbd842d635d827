/** Numbers, times and sizes as people read them. */

// Kept, as making one takes longer than using it.
const [WHOLE, TENTHS] = [0, 1].map((maximumFractionDigits) =>
  new Intl.NumberFormat("en", { maximumFractionDigits })
) as [Intl.NumberFormat, Intl.NumberFormat];

/** A count with its thousands apart. */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** A count and the noun that goes with it. */
export function several(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A number of a second: one digit behind the point while it is small. */
export function rate(value: number): string {
  return (value < 10 ? TENTHS : WHOLE).format(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes. */
export function size(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${rate(value)} ${UNITS[power]}`;
}

/** A day and a time of this machine's clock, to the millisecond. */
export function moment(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const two = (part: number, digits = 2) => String(part).padStart(digits, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${clock(time)}`;
}

/** A time of this machine's clock, to the millisecond. */
export function clock(time: string | Date): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const two = (part: number, digits = 2) => String(part).padStart(digits, "0");
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => two(part));
  return `${parts.join(":")}.${two(date.getMilliseconds(), 3)}`;
}

/** A span of time in its largest unit. */
export function span(ms: number): string {
  const value = Math.abs(ms);
  if (value < 1_000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${Math.floor(value / 1_000)} s`;
  if (value < 3_600_000) return `${Math.floor(value / 60_000)} min`;
  if (value < 2 * 86_400_000) return `${Math.floor(value / 3_600_000)} h`;
  return `${count(Math.floor(value / 86_400_000))} days`;
}

/** How long ago, or how far ahead, `time` is. */
export function distance(time: string, now: number = Date.now()): string {
  const ms = now - new Date(time).getTime();
  if (Number.isNaN(ms)) return time;
  return ms >= 0 ? `${span(ms)} ago` : `in ${span(ms)}`;
}

/** A text at most `length` characters long. */
export function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
