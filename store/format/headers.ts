/** Header of the sequence that the message's subject must be at: the compare-and-set. */
export const EXPECT = "Nats-Expected-Last-Subject-Sequence";

/** Header that names the subject for {@linkcode EXPECT} where it is another than the message's. */
export const EXPECT_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject";

/** Headers of ours; their values are in token form. A format for ever: see docs/design/storage-format.md. */
export const OP = "Aether-Op";

/** The event's id. */
export const ID = "Aether-Id";

/** The event's type. */
export const TYPE = "Aether-Type";

/** The event's version. */
export const VERSION = "Aether-Version";

/** The version of the actor's event before; 0 at the first. */
export const PREVIOUS = "Aether-Previous";

/** The schema of the event's data; 1 where it is left out. */
export const SCHEMA = "Aether-Schema";

/** Events in the commit. */
export const COUNT = "Aether-Count";

/** The command that the save was the outcome of. */
export const COMMAND = "Aether-Command";

/** Sequence of the fence that the event was saved under, by the owner of its shard. */
export const FENCE = "Aether-Fence";
