/**
 * Questions to the operating system about other processes.
 *
 * @module
 */

/** Whether no thread of process `pid` runs any more. */
export async function isStopped(pid: number): Promise<boolean> {
  if (Deno.build.os === "linux") {
    try {
      for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
        const stat = await Deno.readTextFile(`/proc/${pid}/task/${name}/stat`);
        if (!/\) [TtZX] [^)]*$/.test(stat)) return false;
      }
      return true;
    } catch {
      return false; // a thread ended while it was looked at, so they are not stopped
    }
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "state=", "-p", `${pid}`] })
    .output();
  return !/^[^TZ]/.test(new TextDecoder().decode(stdout).trim());
}

/**
 * Ends process `pid` and removes `folder` when this process dies; returns a function that cancels
 * this.
 * It waits for the end of its input, so that nothing can keep it from noticing, a SIGKILL neither.
 */
export function watchdog(pid: number, folder: string): () => Promise<void> {
  if (Deno.build.os === "windows") return () => Promise.resolve();
  // The server may write its last while its folder goes.
  const remove = `for wait in 0 .1 .5 2; do sleep $wait; rm -rf "$2" && break; done`;
  const script = `trap "" INT TERM HUP; read -r _ || { kill -9 "$1"; ${remove}; }`;
  const shell = new Deno.Command("sh", {
    args: ["-c", script, "watchdog", String(pid), folder],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  return async () => {
    const input = shell.stdin.getWriter();
    await input.write(new TextEncoder().encode("done\n")).then(() => input.close())
      .catch((error) => {
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      });
    await shell.status;
  };
}
