/** The name of this library's meters and tracers. */
export const SCOPE = "@flowmade-one/aether";

/** Their version: the package's, which a test compares. */
export const SCOPE_VERSION = "0.1.0";
