import { assertEquals } from "@std/assert";
import { headers, type Msg } from "@nats-io/nats-core";
import { natsTest } from "../../support/fixture.ts";
import { headerIn, MessageText } from "../../../store/nats/stored_message.ts";

/** The fields read from a message, by any way. */
function seen(message: Msg): unknown {
  const { headers, status, content, data } = new MessageText(message);
  const names = ["Aether-Id", "Aether-Version", "Nats-None", "Version"];
  return { status, content, data, values: names.map((name) => headerIn(headers, name)) };
}

/** The same message, of which no more is to be seen than its type says. */
function typed({ headers, data }: Msg): Msg {
  return { headers, data } as Msg;
}

natsTest("A message is read alike however nats.js keeps it", async (scene) => {
  const connection = await scene.connect();
  const subscription = connection.subscribe("some")[Symbol.asyncIterator]();
  const bodies = ["", "text", "żółw 🐢", "\uFEFF", "{}".repeat(5000)];
  const bytes = [
    ...bodies.map((body) => new TextEncoder().encode(body)),
    Uint8Array.of(0xff, 0xfe, 0, 13, 10),
  ];
  for (const body of bytes) {
    for (const id of ["id-1", "żółw"]) {
      const fields = headers();
      fields.set("Aether-Id", id);
      fields.set("Aether-Version", "12");
      connection.publish("some", body, { headers: fields });
      const { value: message } = await subscription.next();
      assertEquals(seen(message), seen(typed(message)));
      assertEquals(seen(message), {
        status: 0,
        content: new TextDecoder("utf-8", { ignoreBOM: true }).decode(body),
        data: message.data,
        values: [id, "12", "", ""],
      });
    }
  }
  connection.publish("some", "bare");
  const { value: message } = await subscription.next();
  assertEquals(seen(message), {
    status: 0,
    content: "bare",
    data: message.data,
    values: ["", "", "", ""],
  });
  await subscription.return?.();
});
