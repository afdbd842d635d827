import { Scene } from "./bench/scene.ts";
import { headers } from "@nats-io/nats-core";
for (const sync of ["always"] as const) {
  await using scene = await Scene.open({ sync });
  const { js } = scene as any;
  const nc = (scene as any).nc ?? (scene as any).connection;
  const stream = (scene as any).store;
  const subj = (scene as any);
  console.log(Object.keys(scene));
  const { subjectOf } = await import("./bench/scene.ts");
  const N = 64;
  const body = new TextEncoder().encode(JSON.stringify({ total: 99.99, items: 3, customer: "c" }));
  let run = 0;
  async function single(n = N) {
    run++;
    await Promise.all(Array.from({ length: n }, (_, at) => {
      const h = headers(); h.set("Nats-Expected-Last-Subject-Sequence", "0");
      return nc.request(subjectOf(`a-${run}-${at}`), body, { headers: h, timeout: 20000 });
    }));
  }
  async function batch(n = N) {
    run++;
    const id = crypto.randomUUID();
    let last;
    for (let at = 0; at < n; at++) {
      const h = headers(); h.set("Nats-Expected-Last-Subject-Sequence", "0");
      h.set("Nats-Batch-Id", id); h.set("Nats-Batch-Sequence", String(at + 1));
      if (at === n - 1) h.set("Nats-Batch-Commit", "1");
      if (at < n - 1) nc.publish(subjectOf(`b-${run}-${at}`), body, { headers: h });
      else last = nc.request(subjectOf(`b-${run}-${at}`), body, { headers: h, timeout: 20000 });
    }
    const answer = (await last).json();
    if (answer.error) throw new Error(JSON.stringify(answer));
  }
  for (let k=0;k<3;k++) for (const [name, f] of [["single", single], ["batch", batch]] as const) {
    for (const n of [16, 64, 256, 900]) {
      await f(n);
      const t = []; for (let i = 0; i < 15; i++) { const b = performance.now(); await f(n); t.push(performance.now() - b); }
      t.sort((a, b) => a - b);
      console.log(sync, name, n, "median ms", t[7].toFixed(2), "per s", (n / t[7] * 1000).toFixed(0));
    }
  }
}
Deno.exit(0);
