/** Runs the command line in this process, with its outputs kept. */
import { main } from "../../cli/main.ts";
import type { Scene } from "../support/fixture.ts";

/** What a run has printed, and how it ended. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The printed lines as JSON. */
  json<T = Record<string, unknown>>(): T[];
}

/** Runs `aether ARGS` on the server and the namespace of `scene`. */
export async function aether(scene: Scene, ...args: string[]): Promise<Run> {
  const where = ["--server", scene.server.url];
  const isNamed = args.includes("--namespace");
  return await bare(...args, ...where, ...(isNamed ? [] : ["--namespace", scene.namespace]));
}

/** Runs `aether ARGS`. */
export async function bare(...args: string[]): Promise<Run> {
  let [out, err] = ["", ""];
  const code = await main(args, {
    sinks: {
      out: { write: (text) => void (out += text) },
      err: { write: (text) => void (err += text) },
    },
    signal: new AbortController().signal,
  });
  return { code, out, err, json: () => out.trim().split("\n").map((line) => JSON.parse(line)) };
}
