import type { NatsConnection } from "@nats-io/transport-node";
import { JetStreamEventStore, type JetStreamEventStoreOptions } from "../../store/mod.ts";
import { natsTest, type Scene } from "./fixture.ts";

/** A store, and the connection that nothing else uses. */
export interface Opened {
  readonly store: JetStreamEventStore;
  readonly connection: NatsConnection;
}

/** Opens the stores of one test, each as in a process of its own; disposes them after it. */
export class Stores implements AsyncDisposable {
  /** The implementation under test. */
  readonly scene: Scene;
  readonly #stack = new AsyncDisposableStack();

  /** Opens on the servers of `scene`. */
  constructor(scene: Scene) {
    this.scene = scene;
  }

  /** The namespace of the stores that are opened without one. */
  get namespace(): string {
    return this.scene.namespace;
  }

  /** A store that knows nothing yet, through the servers at `servers`. */
  async open(options: JetStreamEventStoreOptions = {}, servers?: string): Promise<Opened> {
    const connection = await this.scene.connect(servers === undefined ? {} : { servers });
    const { namespace } = this;
    const store = await JetStreamEventStore.open(connection, { namespace, ...options });
    return { store: this.#stack.use(store), connection };
  }

  /** Disposes the stores; their connections stay the scene's. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** A test with a nats-server of its own, and stores on it. */
export function storeTest(name: string, run: (stores: Stores) => Promise<void>): void {
  natsTest(name, async (scene) => {
    await using stores = new Stores(scene);
    await run(stores);
  });
}

/** Resolves when nothing more comes over the connection. */
export async function idle({ scene }: Stores, connection: NatsConnection): Promise<void> {
  for (let seen = -1; seen !== connection.stats().inMsgs;) {
    seen = connection.stats().inMsgs;
    for (let time = 0; time < 3; time++) await scene.server.monitor("/varz");
  }
}
