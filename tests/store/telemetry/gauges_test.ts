import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { watchGauges } from "../../../store/telemetry/gauges.ts";
import { Telemetry } from "../../support/telemetry.ts";

const telemetry = new Telemetry();
const GAUGES = { "test.gauge": { unit: "s", description: "a test's" } };

Deno.test("a look that does not end holds up no collection, and is not begun twice", async () => {
  using time = new FakeTime();
  let looks = 0;
  const answer = Promise.withResolvers<number>();
  const unwatch = watchGauges(GAUGES, async () => {
    looks++;
    return [{ gauge: "test.gauge", value: await answer.promise, attributes: { of: "stuck" } }];
  });
  const measured = () => telemetry.measured(["of", "stuck"], []);
  for (let times = 0; times < 2; times++) {
    const asked = measured();
    await time.tickAsync(5_000);
    assertEquals(await asked, {});
  }
  const asked = measured();
  answer.resolve(7);
  assertEquals(await asked, { "test.gauge s": 7 });
  assertEquals(looks, 1);
  await unwatch();
  assertEquals(await measured(), { "test.gauge s": 0 });
});
