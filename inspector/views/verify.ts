import type { VerifyProgress, VerifyReport } from "../../store/verify/report.ts";

/** The body of a request for `verify`. */
export interface VerifyQuery {
  /** Begin there: the `next` of a report. @default {the first message} */
  readonly from?: number;
}

/** The events of `verify`, by name: any number of `progress`, then `report`. */
export interface VerifyEvents {
  readonly progress: VerifyProgress;
  readonly report: VerifyReport;
}
