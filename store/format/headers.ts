/** Header of the sequence that the message's subject must be at: the compare-and-set. */
export const EXPECT = "Nats-Expected-Last-Subject-Sequence";

/** Header that names the subject for {@linkcode EXPECT} if it is another than the message's. */
export const EXPECT_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject";

/**
 * Headers of ours; their values are in token form. A format that stays: see
 * docs/design/storage-format.md.
 */
export const OP = "Aether-Op";

/**
 * The ids of the message's events, apart by a space if there are several; a message without it
 * holds no event.
 */
export const ID = "Aether-Id";

/** The types of its events, in the same order. */
export const TYPE = "Aether-Type";

/** The version of its last event; in a receipt, the actor's version. */
export const VERSION = "Aether-Version";

/** The version of the actor's event before its first; 0 at the first. In a receipt, the same. */
export const PREVIOUS = "Aether-Previous";

/** The versions of its events, if they do not count up by one to {@linkcode VERSION}. */
export const VERSIONS = "Aether-Versions";

/** Bytes of the body of each event: there are as many events as sizes. Left out for one event. */
export const SIZES = "Aether-Sizes";

/** The schemas of the data of its events; left out where all are 1. */
export const SCHEMA = "Aether-Schema";

/**
 * Events of the save's whole commit, over all its messages. A message of several whole saves has
 * one number for each, in order: they add up to its events.
 */
export const COUNT = "Aether-Count";

/** The index in its commit of the message's first event; left out for 0. */
export const INDEX = "Aether-Index";

/** The command that led to each save of the message; {@linkcode NONE} if there was none. */
export const COMMAND = "Aether-Command";

/** Stands for no command among several. It is never the token of a command. */
export const NONE = "=";

/** Stream sequence of the fence that the events were saved under, by the owner of their shard. */
export const FENCE = "Aether-Fence";
