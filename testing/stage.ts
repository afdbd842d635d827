import { ended } from "./ended.ts";

/** The tools of one test of stores. */
export interface Stage<Store, Options = unknown> {
  /** The namespace, the test's own. */
  readonly namespace: string;
  /** Opens a store, which is disposed after the test. */
  readonly open: (options?: Options) => Promise<Store>;
}

/** Registers tests that get a namespace of their own, and whose stores are disposed, if they can be. */
export function staged<Store extends Partial<AsyncDisposable>, Options>(
  test: (name: string, run: () => Promise<void>) => void,
  create: (options: Options & { readonly namespace: string }) => Store | Promise<Store>,
): (name: string, run: (stage: Stage<Store, Options>) => Promise<void>) => void {
  return (name, run) =>
    test(name, async () => {
      const namespace = `suite-${crypto.randomUUID().slice(0, 13)}`;
      const stores: Store[] = [];
      const open = async (options?: Options): Promise<Store> => {
        const store = await create({ namespace, ...options as Options });
        stores.push(store);
        return store;
      };
      await ended(
        () => run({ namespace, open }),
        () => stores.reverse().map((store) => () => store[Symbol.asyncDispose]?.()),
      );
    });
}
