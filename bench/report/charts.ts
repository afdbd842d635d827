/** Charts as SVG, by Vega: a dependency of the report alone. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Chart } from "./chapter.ts";

/** Draws a chart. */
export async function draw({ title, x, y, points, mark = "line" }: Chart): Promise<string> {
  const isNamed = mark === "bar";
  // Thousands by letters, but none for what is below 1; ticks without a label stay so.
  const labelExpr = "datum.label && datum.value < 1 ? format(datum.value, '~g') : datum.label";
  const axis = { grid: true, format: "~s", labelExpr };
  const spec: TopLevelSpec = {
    title,
    width: isNamed ? { step: 24 } : 460,
    height: 280,
    background: "white",
    data: { values: points.map((point) => ({ ...point })) },
    mark: isNamed ? "bar" : { type: "line", point: true },
    encoding: {
      x: isNamed
        ? { field: "x", type: "nominal", title: x, sort: null, axis: { labelAngle: -30 } }
        : { field: "x", type: "quantitative", title: x, scale: { type: "log" }, axis },
      y: {
        field: "y",
        type: "quantitative",
        title: y,
        axis,
        scale: isNamed ? {} : { type: "log" },
      },
      color: {
        field: "way",
        type: "nominal",
        title: null,
        sort: null,
        legend: { labelLimit: 400 },
      },
      ...isNamed && { xOffset: { field: "way", sort: null } },
    },
  };
  return await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
