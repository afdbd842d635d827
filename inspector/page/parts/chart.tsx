/** Numbers over the last minutes, drawn by uPlot in the page's own colours. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock, count, rate } from "../words.ts";

/** Points that a chart keeps: ten minutes, one in a second. */
const POINTS = 600;
/** The shortest time that is drawn, in seconds. */
const LEAST = 60;

/** Numbers over time, one line for each name. */
export class History {
  /** Seconds since 1970. */
  readonly times: number[] = [];
  /** The numbers of each line. */
  readonly lines: (number | null)[][];
  /** The name of each line. */
  readonly names: readonly string[];

  /** Keeps lines of these names. */
  constructor(names: readonly string[]) {
    this.names = names;
    this.lines = names.map(() => []);
  }

  /** Adds the numbers of now; the oldest ones fall out. */
  add(values: readonly (number | undefined)[], at: number = Date.now() / 1_000): void {
    this.times.push(at);
    this.lines.forEach((line, index) => line.push(values[index] ?? null));
    if (this.times.length <= POINTS) return;
    this.times.shift();
    for (const line of this.lines) line.shift();
  }
}

/** The arguments of {@linkcode Chart}. */
export interface ChartProps {
  /** Its title. */
  readonly label: string;
  readonly history: History;
  /** Changes when the history has. */
  readonly turn: number;
  readonly height?: number;
}

/** Draws a history, and says its last numbers in words. */
export function Chart({ label, history, turn, height = 150 }: ChartProps): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setTheme((last) => last + 1);
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  useEffect(() => {
    const element = box.current!;
    const width = () => Math.max(200, element.clientWidth);
    const own = new uPlot(options(element, history.names, width(), height), data(history), element);
    plot.current = own;
    const observer = new ResizeObserver(() => own.setSize({ width: width(), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      own.destroy();
    };
  }, [history, theme, height]);
  useEffect(() => plot.current?.setData(data(history)), [turn, history]);
  const last = history.names.map((name, index) =>
    `${name} ${rate(history.lines[index]!.at(-1) ?? 0)}`
  );
  return (
    <figure class="chart">
      <figcaption>
        {history.names.map((name, index) => (
          <span key={name} class="legend">
            <i class={`line-${index + 1}`} />
            {name} <b>{rate(history.lines[index]!.at(-1) ?? 0)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={box} role="img" aria-label={`${label}: ${last.join(", ")}`} />
    </figure>
  );
}

function data(history: History): uPlot.AlignedData {
  return [history.times, ...history.lines];
}

function options(
  element: Element,
  names: readonly string[],
  width: number,
  height: number,
): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { range: (_, low, high) => [Math.min(low, high - LEAST), high] },
      y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.1)] },
    },
    axes: [
      {
        ...axis,
        space: 80,
        size: 26,
        values: (_, ticks) => ticks.map((tick) => clock(new Date(1_000 * tick)).slice(0, 8)),
      },
      { ...axis, size: 52, space: 30, values: (_, ticks) => ticks.map((tick) => count(tick)) },
    ],
    series: [
      {},
      ...names.map((label, index) => ({
        label,
        stroke: colour(`--line-${index + 1}`),
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}
