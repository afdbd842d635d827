/** Commands with ids, decisions over several actors, processes, and deadlines. */
import { commandRuns, fire, hotRun, idleTimes, jointRuns, Steps } from "../process_work.ts";
import { Scene } from "../scene.ts";
import type { Chapter, Comparison, Context, Section } from "./chapter.ts";
import type { Way } from "./measure.ts";

const SERVERS = [[1, "one server"], [3, "replicas 3"]] as const;

export const processes: Chapter = {
  name: "processes",
  async run(context) {
    return [
      await withIds(context),
      await overSeveral(context),
      await steps(context),
      await deadlines(context),
    ];
  },
};

async function withIds(context: Context): Promise<Section> {
  await using scene = await Scene.open();
  const count = context.size(1000, 20);
  const { plain, named } = await commandRuns(scene, count);
  let rounds = 0;
  const ways = (of: (run: typeof plain) => Promise<number>): Way[] => [
    { name: "execute", ops: count, run: () => of(plain) },
    { name: "with commandId and cause", ops: count, run: () => of(named) },
  ];
  return {
    title: "Commands with ids",
    about:
      "A command with an id is looked for before it is decided. An actor that this process has used " +
      "before is known, with the commands that it has handled; of a new one its end has to be asked " +
      "for. 64 in flight on 500 actors.",
    comparisons: [
      await context.compare("commands on known actors", ways((run) => run())),
      await context.compare("commands on new actors", ways((run) => run(`new${rounds++}`))),
    ],
  };
}

async function overSeveral(context: Context): Promise<Section> {
  const comparisons: Comparison[] = [];
  const facts: { what: string; value: string }[] = [];
  for (const [replicas, how] of SERVERS) {
    await using scene = await Scene.open({ replicas });
    const [count, hot] = [context.size(1000, 10), context.size(500, 10)];
    const { apart, together, named } = jointRuns(scene, count);
    comparisons.push(
      await context.compare(`decisions over 3 new actors, 64 in flight, ${how}`, [
        { name: "as independent calls", ops: count, run: apart },
        { name: "executeAll", ops: count, run: together },
        { name: "executeAll with commandId", ops: count, run: named },
      ]),
    );
    let refused = 0;
    const run = hotRun(scene, hot, () => refused++);
    comparisons.push(
      await context.compare(`decisions over one hot actor and 2 new ones, 16 in flight, ${how}`, [
        { name: "executeAll", ops: hot, run },
      ]),
    );
    facts.push({ what: `Refused beside one hot actor, ${how}`, value: String(refused) });
  }
  return {
    title: "Decisions over several actors",
    about:
      "Three actors are decided together, and their events are one commit: a batch, which one server " +
      "alone takes some 3 ms for. Beside three calls of `execute` at once, which are no one commit.",
    comparisons,
    facts,
  };
}

async function steps(context: Context): Promise<Section> {
  const comparisons: Comparison[] = [];
  const count = context.size(1000, 10);
  for (const [replicas, how] of SERVERS) {
    for (const programs of context.size([1, 3], [replicas])) {
      await using scene = await Scene.open({ replicas });
      await using steps = await Steps.start(scene, programs, count);
      const name = programs === 1 ? "one program" : `${programs} programs`;
      const { ops } = steps;
      const way = { name, ops, run: () => steps.run(), most: context.size(5, 1) };
      comparisons.push(await context.compare(`process steps, ${how}, ${name}`, [way]));
    }
  }
  {
    await using scene = await Scene.open();
    const run = async () => {
      const each = await idleTimes(scene, context.size(200, 5));
      return { ms: each.reduce((sum, ms) => sum + ms, 0), each };
    };
    const way = { name: "one program", ops: context.size(200, 5), most: 1, run };
    comparisons.push(await context.compare("from an event to the first command's, idle", [way]));
  }
  return {
    title: "Steps of processes",
    about:
      "An event begins a process, which issues a command in each of five steps. A step is an " +
      "input that is taken, and the command that it led to, executed and settled. The programs are " +
      "apart from the one that places the orders. Then one order at a time: from its save to the " +
      "event of the process's first command.",
    comparisons,
  };
}

async function deadlines(context: Context): Promise<Section> {
  const comparisons: Comparison[] = [];
  const facts: { what: string; value: string }[] = [];
  const count = context.size(100_000, 100);
  for (const span of [context.size(60_000, 100), 0]) {
    await using scene = await Scene.open();
    const how = span === 0 ? "at one instant" : `over ${span / 1000} s`;
    const many = `${count.toLocaleString("en")} deadlines due ${how}`;
    context.say(many);
    const run = async () => {
      const { late, ms, inTime, setPerSecond, memory } = await fire(scene, count, span);
      const early = late.filter((it) => it < 0).length;
      facts.push(
        { what: `Lost, and early, of ${many}`, value: `${count - late.length}, ${early}` },
        { what: "All set before the first was due", value: inTime ? "yes" : "no" },
        { what: "Set a second", value: setPerSecond.toLocaleString("en") },
        { what: "Memory that the program took for them", value: `${memory} MB` },
      );
      return { ms, each: late };
    };
    const way = { name: "one program", ops: count, most: 1, run };
    comparisons.push(await context.compare(many, [way]));
  }
  return {
    title: "Deadlines",
    about:
      "Each is of a process of its own, on one server, whose clock says how late the event is " +
      "that it led to: that is the time shown.",
    comparisons,
    facts,
  };
}
