import { logging, saving } from "./suite_control.ts";

const COMMITS = "every event says which commit it is of";
const ONE = "a save of 1 events of one actor is read whole, and from any place";
const FULL = "a save of 256 events of one actor is read whole, and from any place";
const OVER = "a save of 257 events of one actor is read whole, and from any place";
const GAPS = "a save of versions with gaps is read whole, and from any place";
const QUEUED = "queued saves of too many events for one message are stored, none torn";
const LARGE = "the largest events are saved along with others";

logging("takes a message for the commit", [COMMITS, OVER, GAPS], async function* (sound, options) {
  for await (const event of sound(options)) {
    const { sequence } = event;
    const commit = { op: `${Math.floor(sequence / 256)}`, index: sequence % 256, count: 256 };
    yield { ...event, commit };
  }
});

logging("counts a commit's events by the message", [OVER], async function* (sound, options) {
  for await (const event of sound(options)) {
    yield { ...event, commit: { ...event.commit, count: Math.min(256, event.commit.count) } };
  }
});

logging("goes on behind a message it was in the middle of", [FULL, GAPS], (sound, options) => {
  const { from = 0 } = options;
  return sound({ ...options, ...from !== "start" && { from: Math.ceil(from / 256) * 256 } });
});

logging("goes on at the beginning of a message", [FULL, GAPS, COMMITS], (sound, options) => {
  const { from = 0 } = options;
  return sound({ ...options, ...from !== "start" && { from: Math.floor(from / 256) * 256 } });
});

saving("stores each message of a save by itself", [OVER, LARGE], async (sound, events, options) => {
  if (!Array.isArray(events) || events.length < 2) return await sound(events, options);
  const size = events.length > 256 ? 256 : 2;
  let receipt = await sound(events.slice(0, size), options);
  for (let at = size; at < events.length; at += size) {
    receipt = await sound(events.slice(at, at + size));
  }
  return receipt;
});

saving(
  "gives the position of the first event",
  [FULL, OVER, QUEUED],
  async (sound, events, options) => {
    const receipt = await sound(events, options);
    return { ...receipt, sequence: receipt.sequence - Math.min(events.length - 1, 1) };
  },
);

saving("stores an event too few", [ONE, FULL, OVER], async (sound, events, options) => {
  return await sound(Array.isArray(events) ? events.slice(-256).slice(1) : events, options);
});
