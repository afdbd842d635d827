/** A place where data of a forgotten subject can still be, and what its owner does about it. */
export interface ForgetDuty {
  /** The place. */
  readonly place: "processes" | "snapshots" | "read-models" | "backups" | "open-data";
  /** What to do, a sentence or two. */
  readonly advice: string;
}

/** What `forget()` has done, and what is left to do. */
export interface ForgetReport {
  /** The subject. */
  readonly subject: string;
  /** Whether this call has dropped a key: false if there was none, or it was dropped before. */
  readonly dropped: boolean;
  /**
   * From when on no process opens a sealed field of the subject any more, if all have the same
   * `cacheMaxAge`; by the clock of this process.
   */
  readonly everywhereBy: Date;
  /** The places that nobody but the user can clean. */
  readonly duties: readonly ForgetDuty[];
}

/** The last moment that a `Date` can name, in ms since 1970. */
const LATEST = 8.64e15;

/** The report of a subject that is forgotten since now. */
export function reportOf(
  subject: string,
  { dropped, maxAge, sealsSnapshots }: {
    readonly dropped: boolean;
    readonly maxAge: number;
    /** Whether the codec seals snapshots too. */
    readonly sealsSnapshots: boolean;
  },
): ForgetReport {
  const duties: ForgetDuty[] = [
    {
      place: "processes",
      advice:
        "This process has dropped the key and the states that execute() keeps. Others can use the " +
        `key for ${maxAge} ms more, and keep states of actors for longer: restart those that must ` +
        "not. Whatever your own code keeps of events is yours to drop.",
    },
    ...sealsSnapshots ? [] : [
      {
        place: "snapshots",
        advice:
          "Snapshots are not sealed by this codec: seal them by snapshots(), or delete those " +
          "whose state holds data of the subject.",
      } as const,
    ],
    {
      place: "read-models",
      advice:
        "Rebuild the projections that keep sealed fields, or delete the subject's rows; the " +
        "same goes for search indexes, caches, logs, and what was sent to others.",
    },
    {
      place: "backups",
      advice:
        "Delete the key from the backups of the key store, and all backups of read models that " +
        "hold the subject; backups of events hold only what is sealed.",
    },
    {
      place: "open-data",
      advice: "Fields, ids and metadata that are not sealed stay readable, and so do events that " +
        "were saved before their fields were sealed.",
    },
  ];
  const everywhereBy = new Date(Math.min(Date.now() + maxAge, LATEST));
  return { subject, dropped, everywhereBy, duties };
}
