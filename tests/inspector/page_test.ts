/**
 * The inspector's page in a real browser, on a real server: every view, every action, and what a page may
 * not do.
 *
 * @module
 */

import { inspector } from "../../inspector/mod.ts";
import { findChromium } from "../../tools/page/chromium_binary.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { play, Scene } from "../support/fixture.ts";
import { unlessSkipped } from "../support/skip.ts";
import { ACTING } from "./page/acting.ts";
import { Browser } from "./page/browser.ts";
import { deskOf, TOKEN } from "./page/desk.ts";
import { PICTURES } from "./page/pictures.ts";
import { READING } from "./page/reading.ts";
import { openShop } from "./page/shop.ts";
import { WHOLE } from "./page/whole.ts";

const chromium = await findChromium();

/** All steps, in order; pictures are written only if they are asked for. */
const STEPS = {
  ...(Deno.env.get("AETHER_PICTURES") && PICTURES),
  ...{ ...READING, ...ACTING, ...WHOLE },
};

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
        for (const [name, step] of Object.entries(STEPS)) {
          await t.step(name, () =>
            step(desk).catch(async (error) => {
              const said = await browser.page.locator("body").innerText();
              throw new Error(`${error.message}\n${browser.page.url()} says: ${said}`);
            }));
        }
      } finally {
        ending.abort();
        await http.shutdown();
      }
    }, true);
  },
});
