/** The pictures of the page in the documentation, which `AETHER_PICTURES=1` writes anew. */
import { join } from "node:path";
import { ROOT } from "../../../tools/root.ts";
import { type Desk, panel, type Steps } from "./desk.ts";

/** Writes what the page shows. */
async function picture({ page }: Desk, name: string): Promise<void> {
  await page.evaluate("document.activeElement?.blur()");
  const path = join(ROOT, "docs", "pictures", `inspector-${name}.png`);
  await page.screenshot({ path, animations: "disabled" });
}

/** Pictures, in light and in dark. */
export const PICTURES: Steps = {
  async "writes the pictures of the documentation"(desk) {
    const { page, go, shop } = desk;
    await page.setViewportSize({ width: 1360, height: 765 });
    await go("actor/order-7?at=4");
    await panel(page, "State").getByText('status: "cancelled"').waitFor();
    await picture(desk, "actor");
    await page.emulateMedia({ colorScheme: "dark" });
    await go(`why/${shop.ids.cancelled}`);
    await panel(page, "OrderCancelled").waitFor();
    await page.setViewportSize({ width: 1360, height: 600 });
    await picture(desk, "causation");
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1440, height: 900 });
  },
};
