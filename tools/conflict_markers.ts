/** Finds what a merge left behind: no formatter and no test of a page complains about such a line. */
import { projectFiles } from "./project_files.ts";

/** The numbers of the lines that git writes around the two sides of a conflict. */
export function conflictMarkers(text: string): number[] {
  return text.split("\n").flatMap((line, at) => /^(<{7}|>{7})(?![<>])/.test(line) ? [at + 1] : []);
}

/** Throws if a file of the project holds a merge that nobody has resolved. */
export async function noConflictMarkers(): Promise<string> {
  const files = await projectFiles();
  const found = files.flatMap(({ file, text }) =>
    conflictMarkers(text).map((line) => `${file}:${line} is a conflict marker of a merge`)
  );
  if (found.length > 0) throw new Error(found.join("\n"));
  return `${files.length} files`;
}
