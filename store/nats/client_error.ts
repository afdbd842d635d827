/** Statuses in nats.js's errors after which another try may succeed. */
const PASSING_STATUS = new Set([
  408, // No answer in time.
  409, // The consumer was deleted, or its leader moved.
  503, // Nobody answers at the moment.
]);

/** Classes of nats.js's errors after which another try may succeed. */
const PASSING_NAMES = new Set([
  "NoResponders",
  "NoRespondersError",
  "TimeoutError",
  "ConsumerNotFoundError", // Its server lost the consumer that was just made.
  "JetStreamNotEnabled", // Its words for an API that has no responders.
]);

/** Classes of nats.js's errors that no other try is spared, whatever they come with. */
const FINAL_NAMES = new Set([
  "ClosedConnectionError",
  "DrainingConnectionError",
  "PermissionViolationError",
]);

/**
 * Whether `error` is one of nats.js's own that says that the server was out of reach or in trouble
 * for a moment: itself, or what caused it. Known by name and code, as a program may hold two
 * copies.
 */
export function isPassingInClient(error: unknown): boolean {
  try {
    return isPassingIn(error);
  } catch {
    return false; // A getter or a proxy that throws: no error of the client.
  }
}

function isPassingIn(error: unknown): boolean {
  const chain = new Set<Error>();
  for (let at = error; at instanceof Error && !chain.has(at); at = at.cause) {
    // A signal's reason may have the name of one.
    if (at instanceof DOMException || FINAL_NAMES.has(at.name)) return false;
    chain.add(at);
  }
  return [...chain].some(isPassing);
}

function isPassing(error: Error): boolean {
  const { name, code, status } = error as Error & { code?: unknown; status?: unknown };
  if (name === "JetStreamStatusError") return PASSING_STATUS.has(Number(code));
  if (name === "JetStreamApiError") return Number(status) === 503;
  return PASSING_NAMES.has(name);
}
