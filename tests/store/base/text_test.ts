import { assert, assertEquals } from "@std/assert";
import { callHook, isThenable } from "../../../store/base/hook.ts";
import { reasonOf } from "../../../store/base/reason.ts";
import { isError, messageOf, nameOf, textOf } from "../../../store/base/text.ts";
import { failureOf } from "../../../cluster/commands/messages.ts";
import { isAetherError } from "../../../store/errors.ts";
import { nastyValues } from "../../support/nasty.ts";

Deno.test("Any value has a text, and no text is longer than a thousand characters", () => {
  for (const [name, make] of nastyValues()) {
    for (const text of [textOf, messageOf, nameOf, (it: unknown) => reasonOf(it, "none")]) {
      const made = text(make());
      assert(typeof made === "string" && made.length <= 1_000, `${name}: ${made.slice(0, 80)}`);
    }
    assertEquals(isAetherError(make()), false, name);
    assertEquals(typeof isError(make()), "boolean", name);
    JSON.stringify(failureOf(make()));
  }
  assertEquals(textOf(new TypeError("no codec")), "TypeError: no codec");
  assertEquals(textOf(Symbol("why")), "Symbol(why)");
  assertEquals(textOf(Object.create(null)), "an object without text");
  assertEquals(textOf("x".repeat(2_000_000)), `${"x".repeat(999)}…`);
});

Deno.test("Whatever a hook throws, gives or rejects with stays with it", async () => {
  const warn = console.warn;
  let warnings = 0;
  console.warn = () => void warnings++;
  try {
    for (const [, make] of nastyValues()) {
      callHook("a hook", () => {
        throw make();
      });
      callHook("a hook", () => Promise.reject(make()));
      callHook("a hook", make);
    }
    callHook("a hook", () => new Promise(() => {}));
    // An unhandled rejection would fail the test by now.
    await new Promise((resolve) => setTimeout(resolve));
    assert(warnings >= 2 * nastyValues().length, `${warnings} warnings`);
    console.warn = () => {
      throw new Error("no console");
    };
    callHook("a hook", () => {
      throw undefined;
    });
  } finally {
    console.warn = warn;
  }
  assert(isThenable(Promise.resolve()) && !isThenable(null) && !isThenable({ then: 1 }));
});
