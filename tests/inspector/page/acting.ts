/** Steps that look at what runs, and act on it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { panel, SOON, type Steps, timeTo } from "./desk.ts";

/** Steps that look at what runs, and act on it. */
export const ACTING: Steps = {
  async "shows projections, and pauses, resumes and unparks them"({ page, go, shop, act }) {
    await go("projections/orders");
    const [own, parked] = [panel(page, "orders"), panel(page, "Parked actors")];
    await parked.getByText("Cannot book 73 pieces for order-13: there are 12").waitFor();
    assertEquals(await panel(page, "Partitions").getByRole("row").count(), 5);
    await page.getByRole("img", { name: /^Lag of orders: messages behind/ }).waitFor();
    await own.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog").getByLabel("Token").fill("another token");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog").getByText("The token is missing or wrong").waitFor();
    await page.keyboard.press("Escape");
    await act(own.getByRole("button", { name: "Pause" }), "Pause");
    assert(await timeTo(own.getByText("paused", { exact: true })) < SOON);
    await act(own.getByRole("button", { name: "Resume" }), "Resume");
    assert(await timeTo(own.getByText("2 parked")) < SOON);
    const failed = parked.locator("article", { hasText: "order-13" });
    const unpark = failed.getByRole("button");
    assertMatch(await act(unpark, "Try again"), /failed again/);
    shop.mend();
    assertMatch(await act(unpark, "Try again"), /was handled/);
    await failed.waitFor({ state: "detached" });
    await parked.locator("article", { hasText: "order-21" }).waitFor();
  },

  async "rebuilds a projection, and skips a message, after saying what that does"(desk) {
    const { page, go, act, shop } = desk;
    await go("projections/orders");
    const own = panel(page, "orders");
    await act(own.getByRole("button", { name: "Rebuild" }), "Rebuild");
    await own.locator(".fact", { hasText: "Version" }).getByText("2", { exact: true }).waitFor();
    await go("projections/audit");
    const audit = panel(page, "audit");
    await audit.getByText("has not run").waitFor();
    const position = await shop.intrude();
    await audit.getByRole("button", { name: "Skip a message…" }).click();
    await audit.getByLabel("Position of the message").fill(`${position}`);
    await audit.getByRole("button", { name: "Skip…" }).click();
    await page.getByText("for good, in all processes").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Skip it" }).click();
    await page.getByText(`passes over the message at ${position}`).waitFor();
    await panel(page, "Skipped messages").getByText(position.toLocaleString("en")).waitFor();
  },

  async "shows processes, tries one again and ends one"({ page, go, act }) {
    await go("processes");
    const failed = panel(page, "fulfilment order-5");
    await failed.getByText("Cannot ask for a payment").waitFor();
    await panel(page, "fulfilment order-4").getByText(/due in 5\d min/).waitFor();
    await page.getByLabel("only parked ones").check();
    await panel(page, "fulfilment order-4").waitFor({ state: "detached" });
    assertMatch(
      await act(failed.getByRole("button", { name: "Try again" }), "Try again"),
      /handled/,
    );
    await page.getByText("None is parked").waitFor();
    await page.getByLabel("only parked ones").uncheck();
    await failed.getByText(/due in 5\d min/).waitFor();
    await act(failed.getByRole("button", { name: "End…" }), "End it");
    await failed.waitFor({ state: "detached" });
    await page.getByRole("link", { name: "fulfilment", exact: true }).click();
    await act(page.getByRole("button", { name: "Pause", exact: true }), "Pause");
    await act(page.getByRole("button", { name: "Resume", exact: true }), "Resume");
  },

  async "shows the cluster, and shards that move"({ page, go, shop }) {
    await go("cluster");
    const members = panel(page, "Members");
    await members.getByText("oslo").first().waitFor();
    await page.getByRole("img", { name: /256 shards: berlin 8\d, lisbon 8\d, oslo 8\d/ }).waitFor();
    const left = shop.leave();
    assert(
      await timeTo(page.getByRole("img", { name: /shards: berlin 1\d\d, lisbon 1\d\d$/ })) <
        5 * SOON,
    );
    await left;
    await panel(page, "What happened").getByText(/oslo left/).first().waitFor();
  },

  async "verifies the store"({ page, go }) {
    await go("verify");
    await page.getByRole("button", { name: "Verify the store" }).click();
    await panel(page, "Report").getByText("1 problem").waitFor(); // the message of no actor
    await page.getByRole("heading", { name: "foreign-message" }).waitFor();
    await page.getByRole("button", { name: "Verify what came since" }).click();
    await panel(page, "Report").getByText("no rule is broken").waitFor();
  },
};
