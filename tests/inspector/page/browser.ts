/** A headless Chromium, and what its pages may not do. */
import { assertEquals } from "@std/assert";
import axe from "axe-core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { type Chromium, CHROMIUM_FLAGS } from "../../../tools/page/chromium_binary.ts";

/** A fault that axe-core has found. */
interface Fault {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** Options for {@linkcode Browser.open}. */
export interface BrowserOptions {
  /** The pages' origin: they may ask nobody else. */
  readonly origin: string;
  readonly scheme?: "light" | "dark";
}

/** A browser with a profile of its own, and one page. */
export class Browser implements AsyncDisposable {
  /** The page. */
  readonly page: Page;
  /** What a page has said, thrown, or asked of somebody else. */
  readonly offences: string[] = [];
  /** Paths that were asked for, with their queries. */
  readonly asked = new Set<string>();
  readonly #context: BrowserContext;
  readonly #folder: string;

  private constructor(context: BrowserContext, folder: string, origin: string) {
    this.#context = context;
    this.#folder = folder;
    this.page = context.pages()[0]!;
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.offences.push(message.text());
    });
    context.on("weberror", (error) => this.offences.push(String(error.error())));
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin === origin) this.asked.add(url.pathname + url.search);
      else if (url.protocol !== "data:") this.offences.push(`asked ${url}`);
    });
  }

  /** Starts a browser. */
  static async open({ program, env }: Chromium, options: BrowserOptions): Promise<Browser> {
    const folder = await Deno.makeTempDir({ prefix: "aether-chromium-" });
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: program,
      args: [...CHROMIUM_FLAGS],
      env: { ...Deno.env.toObject(), ...env },
      colorScheme: options.scheme ?? "light",
      viewport: { width: 1440, height: 900 },
      timezoneId: "UTC",
      locale: "en-GB",
    });
    context.setDefaultTimeout(30_000);
    return new Browser(context, folder, options.origin);
  }

  /** Fails if axe-core finds something serious in the page. */
  async assertAccessible(place: string, rules?: readonly string[]): Promise<void> {
    const hasAxe = await this.page.evaluate("typeof axe === 'object'");
    if (!hasAxe) await this.page.evaluate(axe.source);
    const options = JSON.stringify({
      resultTypes: ["violations"],
      ...(rules && { runOnly: { type: "rule", values: rules } }),
    });
    const faults = await this.page.evaluate<Fault[]>(
      `axe.run(document, ${options}).then(({ violations }) => violations)`,
    );
    const serious = faults.filter(({ impact }) => impact === "serious" || impact === "critical");
    assertEquals(
      serious.flatMap(({ id, nodes }) =>
        nodes.slice(0, 3).map(({ target, failureSummary }) =>
          `${place}: ${id} at ${target.join(" ")}: ${failureSummary}`
        )
      ),
      [],
    );
  }

  /** Ends the browser. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
