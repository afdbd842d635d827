/**
 * The inspector's page in a real browser, on a real server: every view, every action, and what a page may
 * not do.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Locator, Page } from "playwright-core";
import { inspector } from "../../inspector/mod.ts";
import { createEvent } from "../../mod.ts";
import { findChromium } from "../../tools/chromium_binary.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { play, Scene } from "../support/fixture.ts";
import { unlessSkipped } from "../support/skip.ts";
import { Browser } from "./page/browser.ts";
import { HOSTILE, LONG, MAILS, openShop, type Shop } from "./page/shop.ts";

/** The token of operators. */
const TOKEN = "a-token-for-operators";
/** How soon a page shows what has changed, in ms. */
const SOON = 1_000;

const chromium = await findChromium();

/** What a step has. */
interface Desk {
  readonly browser: Browser;
  readonly page: Page;
  readonly shop: Shop;
  /** Goes to a place of the page. */
  go(place: string): Promise<void>;
  /** Clicks, confirms what is asked, and gives the answer. */
  act(button: Locator, verb: string): Promise<string>;
}

Deno.test({
  ...unlessSkipped("the inspector's page", chromium === undefined && "no Chromium"),
  // Playwright's pipes to the browser and its timers end with the browser, but some of them a turn later.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    await using server = await NatsServer.start();
    await play(new Scene([server]), async (scene) => {
      await using shop = await openShop(scene);
      const ending = new AbortController();
      const parts = { ...shop.parts, actions: true, token: TOKEN, signal: ending.signal };
      const http = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        inspector(parts),
      );
      const origin = `http://127.0.0.1:${http.addr.port}`;
      try {
        await using browser = await Browser.open(chromium!, { origin });
        const desk = deskOf(browser, origin, shop);
        for (const [name, step] of Object.entries(STEPS)) await t.step(name, () => step(desk));
      } finally {
        ending.abort();
        await http.shutdown();
      }
    }, true);
  },
});

function deskOf(browser: Browser, origin: string, shop: Shop): Desk {
  const { page } = browser;
  return {
    ...{ browser, page, shop },
    async go(place) {
      if (page.url().startsWith(origin)) await page.evaluate(`location.hash = "#/${place}"`);
      else await page.goto(`${origin}/#/${place}`);
    },
    async act(button, verb) {
      await button.click();
      const dialog = page.getByRole("dialog");
      const token = dialog.getByLabel("Token");
      if (await token.count() > 0) await token.fill(TOKEN);
      await dialog.getByRole("button", { name: verb, exact: true }).click();
      await dialog.waitFor({ state: "detached" });
      return await page.locator(".said p").innerText();
    },
  };
}

const panel = (page: Page, name: string | RegExp): Locator => page.getByRole("region", { name });

/** How long something takes to be seen from now on, in ms. */
async function timeTo(seen: Locator): Promise<number> {
  const start = performance.now();
  await seen.waitFor();
  return performance.now() - start;
}

async function addNote(shop: Shop, actorId: string, note: string): Promise<void> {
  const version = await shop.store.getLatestVersion(actorId) + 1;
  const event = { eventType: "NoteAdded", actorId, version, data: { note } };
  await shop.store.saveEvent(createEvent(event));
}

const STEPS: Readonly<Record<string, (desk: Desk) => Promise<void>>> = {
  async "shows the store, and finds actors by how their ids begin"({ page, go, shop }) {
    await go("store");
    await panel(page, "Categories").getByRole("button", { name: "order", exact: true }).click();
    await page.getByText("actors of order").waitFor();
    const actors = panel(page, "Actors");
    await actors.getByRole("searchbox").fill("order-2");
    await actors.getByText("6 actors of order").waitFor(); // 2, and 20 to 24
    await addNote(shop, "order-29", "a new one");
    await actors.getByRole("link", { name: "order-29" }).waitFor();
    await actors.getByRole("searchbox").fill("nobody");
    await actors.getByText(`No actor's id begins with "nobody"`).waitFor();
    await panel(page, "Servers").getByText("leader").waitFor();
    const messages = page.locator(".fact", { hasText: "Messages" }).locator("dd");
    const before = await messages.innerText();
    await addNote(shop, "order-29", "another one");
    assert(await timeTo(messages.filter({ hasNotText: before })) < SOON);
  },

  async "shows an actor's events in order, and the state at each version"({ page, go, shop }) {
    await go("actor/order-7");
    const state = panel(page, "State");
    await state.getByText('status: "cancelled"').waitFor();
    assertEquals(await page.getByRole("option").allInnerTexts().then((rows) => rows.length), 4);
    await state.locator("ins", { hasText: '"cancelled"' }).waitFor();
    await page.getByRole("heading", { level: 1 }).press("ArrowLeft");
    await panel(page, "ItemAdded").waitFor();
    await state.locator("li", { hasText: "lines[1]" }).waitFor();
    await page.getByRole("slider", { name: "Version" }).fill("1");
    await state.getByText('status: "placed"').waitFor();
    await page.waitForURL(/order-7\?at=1$/);
    await addNote(shop, "order-7", "a late one");
    assert(await timeTo(page.getByText("version 5", { exact: false }).first()) < 2 * SOON);
    await page.getByRole("button", { name: "Latest version" }).click();
    await state.getByText('note: "a late one"').waitFor();
  },

  async "shows how an event was saved, and how it is read"({ page, go }) {
    await go("actor/order-2");
    await page.getByText("As saved").waitFor();
    await page.getByRole("group", { name: "Data as saved, schema 1" }).getByText("cents: 2500")
      .waitFor();
    await page.getByRole("group", { name: "Data as read, schema 2" }).getByText("total: 25")
      .waitFor();
  },

  async "shows markup in ids and data as text"({ page, go }) {
    await go(`actor/${encodeURIComponent(HOSTILE)}`);
    await page.getByRole("heading", { level: 1, name: HOSTILE }).waitFor();
    await panel(page, "NoteAdded").getByText("<script>document.title='hit'</script>").waitFor();
    assertMatch(await page.title(), /^Actor order-/);
    assertEquals(await page.locator("img, main script").count(), 0);
  },

  async "scrolls and scrubs through a long history"({ page, go }) {
    await go("actor/order-long");
    await panel(page, "Events").getByText(`${LONG.toLocaleString("en")} events`).waitFor();
    assert(await page.getByRole("option").count() < 100, "most rows are no elements");
    const list = page.getByRole("listbox");
    await list.press("End");
    await page.getByRole("option", { selected: true }).getByText("OrderPlaced").waitFor();
    await list.press("PageUp");
    await page.getByRole("slider", { name: "Version" }).fill("700");
    await page.getByRole("option", { selected: true }).getByText("700").waitFor();
    await panel(page, "State").getByText("lines: [699 items]").waitFor();
  },

  async "shows why an order was cancelled, and what followed"({ page, go, shop }) {
    await go("actor/order-7?at=4");
    await panel(page, "OrderCancelled").getByRole("link", { name: "Causes and effects" }).click();
    const tree = page.getByRole("tree");
    await tree.getByRole("treeitem", { name: /^OrderCancelled/ }).waitFor();
    assertEquals(await tree.locator("[role=treeitem] > title").allTextContents(), [
      "From outside, checkout-7",
      "ItemAdded, order-7 @ 3",
      "PaymentAsked, payment-7 @ 1",
      "PaymentDeclined, payment-7 @ 2",
      "OrderCancelled, order-7 @ 4",
      "StockReleased, stock-pen @ 2",
      "MailSent, mail-order-7 @ 1",
      "StockReserved, stock-pen @ 1",
    ]);
    await tree.press("ArrowLeft"); // closes it
    await tree.getByRole("treeitem", { name: /^StockReleased/ }).waitFor({ state: "detached" });
    await tree.press("ArrowRight");
    await tree.press("ArrowRight");
    await panel(page, "StockReleased").waitFor();
    await panel(page, "StockReleased").getByRole("link", { name: "Show it in its actor" }).click();
    await page.getByRole("heading", { level: 1, name: "stock-pen" }).waitFor();
    await page.getByRole("searchbox", { name: "Actor or event id" }).fill(shop.ids.campaign);
    await page.keyboard.press("Enter");
    await page.getByText(`${MAILS - 10} more`).click();
    await page.getByText(`${MAILS - 60} more`).waitFor();
    await page.getByRole("button", { name: "Open all" }).click();
    assertEquals(await page.getByRole("treeitem").count(), MAILS + 1);
  },

  async "follows the tail, filters it and pauses"({ page, go, shop }) {
    await go("tail");
    await page.getByText("Live", { exact: true }).waitFor();
    const lines = page.getByRole("listitem");
    await addNote(shop, "order-1", "first");
    assert(await timeTo(lines.filter({ hasText: '"first"' })) < SOON);
    await page.getByRole("textbox", { name: "Category" }).fill("order");
    await page.getByRole("searchbox", { name: "Text in the event" }).fill("SECOND");
    await page.keyboard.press("Enter");
    await page.getByText("Live", { exact: true }).waitFor();
    const seen = lines.filter({ hasText: "second" });
    while (await seen.count() === 0) { // the filter holds once its stream is open
      await addNote(shop, "order-2", "third");
      await addNote(shop, "order-1", "second");
      await seen.first().waitFor({ timeout: 500 }).catch(() => {});
    }
    assertEquals(await lines.filter({ hasText: "third" }).count(), 0);
    await page.getByRole("heading", { level: 1 }).press(" ");
    await page.getByText("Paused", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("what was saved meanwhile is not shown").waitFor();
  },

  async "says what the tail left out"({ page, go, shop }) {
    await go("store");
    await go("tail");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByLabel("Events in a second").selectOption("10");
    const leftOut = page.getByText(/\d+ events left out: more in a second than wanted/);
    while (await leftOut.count() === 0) {
      const from = await shop.store.getLatestVersion("flood-1");
      await shop.store.saveEvents(
        Array.from({ length: 40 }, (_, at) =>
          createEvent({
            eventType: "Flood",
            actorId: "flood-1",
            version: from + at + 1,
            data: null,
          })),
      );
      await leftOut.first().waitFor({ timeout: 1_500 }).catch(() => {});
    }
  },

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
    await panel(page, "fulfilment order-4").getByText(/due in 59 min/).waitFor();
    await page.getByLabel("only parked ones").check();
    await panel(page, "fulfilment order-4").waitFor({ state: "detached" });
    assertMatch(
      await act(failed.getByRole("button", { name: "Try again" }), "Try again"),
      /handled/,
    );
    await page.getByText("None is parked").waitFor();
    await page.getByLabel("only parked ones").uncheck();
    await failed.getByText(/due in 59 min/).waitFor();
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
    await page.getByRole("heading", { level: 1, name: "Cluster" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("order-7");
    await page.keyboard.press("Enter");
    await panel(page, "Actors").getByRole("link", { name: "order-7", exact: true }).press("Enter");
    await page.getByRole("heading", { level: 1, name: "order-7" }).waitFor();
    assertEquals(await page.evaluate("document.activeElement.tagName"), "H1");
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
