/** A time as ISO 8601. */
export type Time = string;
