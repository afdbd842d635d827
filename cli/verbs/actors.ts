import { safe } from "../output.ts";
import { numberIn, type Verb } from "../verb.ts";

/** Actors whose versions are asked for at once. */
const PAGE = 500;

/** `aether actors`. */
export const actors: Verb = {
  usage: "[CATEGORY]",
  summary: "Lists actors and their latest versions",
  words: [0, 1],
  options: {
    limit: { type: "string", value: "N", description: "End after so many actors (100; 0 is all)" },
  },
  examples: ["aether actors order --namespace shop", "aether actors --limit 0 --json"],
  async run({ words: [category], values, output, signal, open }) {
    const limit = numberIn(values, "limit", 100) || Infinity;
    const store = await open();
    let shown = 0;
    let page: string[] = [];
    const flush = async () => {
      for (const [actorId, version] of await store.getLatestVersions(page)) {
        output.item(`${safe(actorId)} ${output.faint(`at ${version}`)}`, { actorId, version });
      }
      page = [];
    };
    for await (const actorId of store.listActors(category === undefined ? {} : { category })) {
      signal.throwIfAborted();
      page.push(actorId);
      if (page.length === PAGE) await flush();
      if (++shown >= limit) break;
    }
    if (page.length > 0) await flush();
    output.line(output.faint(`${shown} actors${shown >= limit ? ", and maybe more" : ""}`));
    return 0;
  },
};
