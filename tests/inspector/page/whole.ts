/** Steps about the page as a whole. */
import { assert, assertEquals } from "@std/assert";
import { panel, type Steps } from "./desk.ts";

/** Steps about the page as a whole. */
export const WHOLE: Steps = {
  async "says what to do where there is nothing"({ page, go }) {
    await go("actor/Order-7");
    await page.getByText("There is no such actor").waitFor();
    await go("actor/customer-1");
    await page.getByText("There is no such actor").waitFor();
    await go("why/019ca000-0000-7000-8000-999999999999");
    await page.getByRole("alert").getByText("There is no such event").waitFor();
    await go("why");
    await page.getByText("Which event?").waitFor();
    await go("actor/payment-7");
    await panel(page, "State").getByText("No decider is registered").waitFor();
  },

  async "is used by keys alone"({ page, go }) {
    await go("store");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("5");
    await page.locator("h1:focus", { hasText: "Cluster" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("order-7");
    await page.keyboard.press("Enter");
    await panel(page, "Actors").getByRole("link", { name: "order-7", exact: true }).press("Enter");
    await page.locator("h1:focus", { hasText: "order-7" }).waitFor();
  },

  async "has no serious fault that axe-core knows, in dark and in light, and fits a phone"(desk) {
    const { page, go, browser, shop } = desk;
    const places = {
      "store": "Categories",
      "actor/order-7": "State",
      [`why/${shop.ids.cancelled}`]: "OrderCancelled",
      "tail": "",
      "projections/orders": "Partitions",
      "processes": "fulfilment order-4",
      "cluster": "Members",
      "verify": "",
    };
    for (const [place, seen] of Object.entries(places)) {
      await go(place);
      await (seen === "" ? page.getByRole("heading", { level: 1 }) : panel(page, seen)).waitFor();
      await page.emulateMedia({ colorScheme: "light" });
      await browser.assertAccessible(`${place} in light`);
      await page.emulateMedia({ colorScheme: "dark" });
      await browser.assertAccessible(`${place} in dark`, ["color-contrast"]);
      await page.setViewportSize({ width: 390, height: 844 });
      const width = await page.evaluate("document.documentElement.scrollWidth");
      assertEquals(width, 390, `${place} is wider than a phone`);
      await page.setViewportSize({ width: 1440, height: 900 });
    }
  },

  async "asks nobody else, complains of nothing, and puts no id into an address"({ browser }) {
    const expected = /status of 40[14]/; // the answers to a wrong token and an unknown event
    assertEquals(browser.offences.filter((offence) => !expected.test(offence)), []);
    assert([...browser.asked].every((path) => /^\/(api\/[a-z]+)?$/.test(path)), "no ids in paths");
    await Promise.resolve();
  },
};
