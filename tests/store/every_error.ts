import type * as errors from "../../store/errors.ts";

const HOLDER: errors.FenceHolder = {
  nodeId: "b",
  incarnation: "b1",
  mapVersion: 7,
  state: "claimed",
  sequence: 99,
};

/** One error of each class of the library, and of some classes two, made by a copy of the module. */
export function oneOfEach(module: typeof errors): errors.AetherError[] {
  return [
    new module.VersionConflictError("order-7", 3, 5),
    new module.InvalidEventError("data is NaN"),
    new module.InvalidSnapshotError("state is NaN"),
    new module.EventTooLargeError("order-7", 3, 11, 10),
    new module.CorruptEventError(9, "its body is not JSON"),
    new module.SaveOutcomeUnknownError("order-7", 3, () => Promise.resolve("unknown")),
    new module.StoreUnavailableError("Cannot read: no answer"),
    new module.StoreRefusedError("Cannot save: the stream is full", "raise max_bytes", 10077),
    new module.CheckpointConflictError("orders", 3),
    new module.CorruptCheckpointError("checkpoint.orders.control", "it is not JSON"),
    new module.RebuildFailedError("orders", 2, "its runner was stopped"),
    new module.PoisonEventError("orders", { sequence: 9, id: "e-1", actorId: "order-7" }, 5),
    new module.StreamConfigError("AETHER_shop", ["sealed is set", "max_age is 1"]),
    new module.StreamRegressedError('"order-7"', 9, 4),
    new module.SubscriptionOverflowError("orders", 10),
    new module.UnknownSchemaError(9, "OrderPlaced", 3, 2),
    new module.UnsupportedServerError("2.10.0", "2.12.0"),
    new module.FencedError('save event at version 3 of "order-7"', { shard: 12, nodeId: "a" }),
    new module.FencedError("claim shard 12", { shard: 12, nodeId: "a", holder: HOLDER }),
    new module.LeaseLostError("a", 7, "expired"),
    new module.CommandAlreadyHandledError("c-1", { sequence: 9, duplicate: false }),
    new module.CommandFailedError("c-1", "a", "n", { name: "RangeError", message: "no" }),
    new module.ActorElsewhereError("c-1", { actorId: "a", shard: 12, owner: "n" }),
    new module.CommandCycleError("c-1", ["a", "b", "a"]),
    new module.CommandCrashedOwnersError("c-1", "a", ["n", "m"]),
    new module.CommandOutcomeUnknownError("c-1", "a"),
    new module.CommandRefusedError("c-1", "a", { name: "RangeError", message: "no" }),
    new module.NodeReplacedError("a", "1", "2"),
  ];
}
