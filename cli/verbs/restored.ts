import { markRestored } from "../../store/mod.ts";
import { needStore } from "../open_store.ts";
import { UsageError, type Verb } from "../verb.ts";

/** `aether restored`. */
export const restored: Verb = {
  usage: "",
  summary: "Marks the stream as restored from a backup, before programs open it again",
  details:
    "From the mark on the store has another identity: what programs remember of lost events is " +
    "refused instead of being believed. Run it once after each restore.",
  words: [0, 0],
  options: {
    yes: { type: "boolean", description: "The stream was restored; store the mark" },
  },
  examples: ["aether restored --namespace shop --yes"],
  async run({ values, output, namespace, connect }) {
    if (values.yes !== true) {
      throw new UsageError(
        "The mark changes the identity of the store for good; add --yes if the stream was restored",
      );
    }
    const connection = await connect();
    await needStore(connection, namespace);
    const mark = await markRestored(connection, { namespace });
    const { previousIdentity, identity, sequence } = mark;
    output.item(`The store ${previousIdentity} is ${identity} from now on`, mark);
    for (
      const line of [
        `Events before position ${sequence} came with the backup; later ones are lost.`,
        "Checkpoints: a projection that had seen lost events ends with StreamRegressedError. Restore " +
        "its read model from the same time, or rebuild() it.",
        "Reactors: set resumeAt to the mark's position once you know which commands went out.",
        "Processes: their histories are in the stream; what was sent and forgotten is sent again.",
        "Then run: aether verify",
      ]
    ) output.line(line);
    return 0;
  },
};
