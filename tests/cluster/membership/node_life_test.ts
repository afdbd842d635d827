import { assert, assertEquals } from "@std/assert";
import { nextIncarnation } from "../../../cluster/membership/node_life.ts";
import { EMPTY_VIEW, nextView } from "../../../cluster/membership/view.ts";
import { uuidv7 } from "../../../store/base/uuid.ts";

const HOUR = 3_600_000;

Deno.test("an incarnation is larger than all before, though the clock was set back", () => {
  const early = uuidv7(Date.now() - HOUR);
  const late = uuidv7(Date.now() + HOUR);
  const latest = uuidv7(Date.now() + 2 * HOUR);
  const node = { nodeId: "a", metadata: {}, capacity: 1 };
  const member = nextView(EMPTY_VIEW, [{ type: "join", node: { ...node, incarnation: late } }]);
  const departed = nextView(member, [
    { type: "depart", nodeId: "a", incarnation: late, how: "crashed" },
  ]);
  for (const view of [member, departed]) {
    assert(nextIncarnation(view, "a", early) > late);
    assert(nextIncarnation(view, "a", latest) > latest);
    assert(nextIncarnation(view, "b", early) < late, "other nodes do not count");
  }
  assertEquals(nextIncarnation(EMPTY_VIEW, "a").length, late.length);
});
