/** What a step of the page's test has, and what steps share. */
import type { Locator, Page } from "playwright-core";
import { createEvent } from "../../../mod.ts";
import type { Browser } from "./browser.ts";
import type { Shop } from "./shop.ts";

/** The token of operators. */
export const TOKEN = "a-token-for-operators";
/** How soon a page shows what has changed, in ms. */
export const SOON = 1_000;

/** What a step has. */
export interface Desk {
  readonly browser: Browser;
  readonly page: Page;
  readonly shop: Shop;
  /** Goes to a place of the page. */
  go(place: string): Promise<void>;
  /** Clicks, confirms what is asked, and gives the answer. */
  act(button: Locator, verb: string): Promise<string>;
}

/** Steps by what each shows. */
export type Steps = Readonly<Record<string, (desk: Desk) => Promise<void>>>;

/** A desk at a shop's page. */
export function deskOf(browser: Browser, origin: string, shop: Shop): Desk {
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
      await dialog.waitFor();
      const token = dialog.getByLabel("Token");
      if (await token.count() > 0) await token.fill(TOKEN);
      await dialog.getByRole("button", { name: verb, exact: true }).click();
      return await page.locator(".said p").innerText();
    },
  };
}

/** A part of the page, by its heading. */
export function panel(page: Page, name: string | RegExp): Locator {
  return page.getByRole("region", { name });
}

/** How long something takes to be seen from now on, in ms. */
export async function timeTo(seen: Locator): Promise<number> {
  const start = performance.now();
  await seen.waitFor();
  return performance.now() - start;
}

/** Saves an event of an actor. */
export async function addNote(shop: Shop, actorId: string, note: string): Promise<void> {
  const version = await shop.store.getLatestVersion(actorId) + 1;
  const event = { eventType: "NoteAdded", actorId, version, data: { note } };
  await shop.store.saveEvent(createEvent(event));
}
