/** Steps that look at the store, at actors, at causes and at the tail. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createEvent } from "../../../mod.ts";
import { addNote, panel, SOON, type Steps, timeTo } from "./desk.ts";
import { HOSTILE, LONG, MAILS } from "./shop.ts";

/** Steps that look at the store, at actors, at causes and at the tail. */
export const READING: Steps = {
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

  async "lets a user go on while the address is about to follow the version"({ page, go }) {
    await go("actor/order-7");
    await page.getByRole("slider", { name: "Version" }).fill("1");
    // A busy browser tells the page late that its address has changed.
    await page.evaluate(`{
      location.hash = "#/tail";
      const end = performance.now() + 500;
      while (performance.now() < end);
    }`);
    await page.getByText("Live", { exact: true }).waitFor();
    assert(page.url().endsWith("#/tail"));
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
};
