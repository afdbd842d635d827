import { assertEquals, assertMatch } from "@std/assert";
import { SCOPE_VERSION } from "../../store/telemetry/scope.ts";
import { bare } from "./bed.ts";

Deno.test("words that make no sense end with 2 and say what there is", async () => {
  for (
    const [args, told] of [
      [["shwo"], /no verb "shwo"/],
      [["show"], /aether show takes: ACTOR/],
      [["show", "a", "b"], /takes: ACTOR/],
      [["actors", "--nope"], /Unknown option '--nope'/],
      [["show", "a", "--at", "soon"], /no version and no time/],
      [["show", "a", "--at", "3.5"], /no version and no time/],
      [["help", "constructor"], /no verb "constructor"/],
      [["help", "nonsense"], /no verb "nonsense"/],
      [["constructor"], /no verb "constructor"/],
      ...["abc", "-1", "1.5", "", "1e3", "9007199254740993"].flatMap((text) =>
        [
          ["actors", "limit"],
          ["processes", "limit"],
          ["tail", "limit"],
          ["tail", "from"],
          ["verify", "from"],
          ["export", "from"],
          ["inspect", "port"],
          ["dev", "port"],
        ].map(([verb, name]) =>
          [[verb!, `--${name}=${text}`], new RegExp(`--${name} ${text} is`)] as const
        )
      ),
      [["inspect", "--port", "65536"], /from 0 to 65535/],
      [["tail", "--from", "begin"], /neither start nor now/],
      [["--namespace", "shop", "actors"], /Put the verb before "--namespace"/],
      [["actors", "--context", "../x"], /no name of a context/],
      [["actors", "--app", "/nowhere.ts"], /Cannot load --app/],
    ] as const
  ) {
    const { code, err, out } = await bare(...args);
    assertEquals([code, out], [2, ""], args.join(" "));
    assertMatch(err, told);
  }
});

Deno.test("--version tells the version of the package", async () => {
  const { code, out } = await bare("--version");
  assertEquals([code, out], [0, `aether ${SCOPE_VERSION}\n`]); // Which a test compares with the package's.
});
