import { inspector } from "../inspector/mod.ts";
import type { Connection } from "../store/connection.ts";
import type { JetStreamEventStore } from "../store/mod.ts";
import { connectAs } from "./connection.ts";
import { listen, type Listening } from "./http_server.ts";
import { openStore } from "./open_store.ts";
import type { App } from "./verb.ts";

/** The port that the page takes if it is free. */
const PORT = 4280;

/** The store that the page shows, and where it is. */
export interface PageOptions {
  readonly server: string;
  readonly namespace: string;
  readonly app: App;
  readonly signal: AbortSignal;
  /** Gets a line when the connection is lost, and when it is there again. */
  readonly tell: (line: string) => void;
}

/**
 * The inspector's page beside a server on which there may be no store yet: until a program has made it,
 * it says so, and looks again.
 */
export class PageBeside implements AsyncDisposable {
  readonly #options: PageOptions;
  readonly #connection: Connection;
  #opened: Promise<ReturnType<typeof inspector>> | undefined;
  #store: JetStreamEventStore | undefined;
  #listening: Listening | undefined;

  private constructor(options: PageOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
  }

  /** Serves it on 127.0.0.1. */
  static async serve(options: PageOptions): Promise<PageBeside> {
    const { server, signal, tell } = options;
    const connection = await connectAs({ server }, { lasts: true, signal, tell });
    const page = new PageBeside(options, connection);
    const handler = (request: Request) => page.#answer(request);
    try {
      page.#listening = await listen(handler, PORT).catch(() => listen(handler, 0));
    } catch (error) {
      await page[Symbol.asyncDispose]();
      throw error;
    }
    return page;
  }

  /** Where it is. */
  get url(): string {
    return this.#listening!.url;
  }

  async #answer(request: Request): Promise<Response> {
    let handler: ReturnType<typeof inspector>;
    try {
      handler = await (this.#opened ??= this.#open());
    } catch (error) {
      this.#opened = undefined; // The next request looks again.
      return notYet((error as Error).message);
    }
    return await handler(request);
  }

  async #open(): Promise<ReturnType<typeof inspector>> {
    const { namespace, app, signal } = this.#options;
    const store = this.#store = await openStore(this.#connection, namespace, app, false);
    return inspector({ store, deciders: app.deciders ?? {}, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#store?.[Symbol.asyncDispose]();
    await this.#connection.close();
  }
}

/** A page that loads itself again. */
function notYet(reason: string): Response {
  const text = reason.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const style = "body{font:16px system-ui;margin:3rem;color-scheme:light dark}";
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" ` +
    `content="2"><title>Aether</title><style>${style}</style><p>${text}.<p>This page looks again ` +
    "every two seconds.</html>\n";
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  };
  return new Response(page, { status: 503, headers });
}
