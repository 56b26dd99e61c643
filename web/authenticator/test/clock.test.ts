import { beforeEach, describe, expect, test, vi } from "vitest";
import { isSaneTime, MOST_CORRECTED_MS, ServerClock, type Offset } from "../src/clock";
import { serverTimeMs } from "../src/provision";

const START = 1_795_567_688_000;
const MINUTE = 60_000;

const device = { wall: 0, steady: 0 };
const server = { aheadMs: 0, online: true, asked: 0 };
vi.spyOn(Date, "now").mockImplementation(() => device.wall);
vi.spyOn(performance, "now").mockImplementation(() => device.steady);

/** The server's clock, which nobody sets: START and what has really passed. */
let real = 0;
const serverNow = () => START + server.aheadMs + real;
function pass(ms: number, { asleep = false } = {}) {
  real += ms;
  device.wall += ms;
  if (!asleep) device.steady += ms;
}

let changes: (Offset | null)[];
/** What is done once, in the middle of the next answer. */
let meanwhile: (() => void) | null;
let clock: ServerClock;
const newClock = () => new ServerClock({
  serverTimeMs: async () => {
    server.asked += 1;
    if (!server.online) throw new Error("offline");
    const answer = serverNow();
    meanwhile?.();
    meanwhile = null;
    return answer;
  },
  changed: (offset) => changes.push(offset),
});

beforeEach(() => {
  real = 0;
  Object.assign(device, { wall: START, steady: 5_000 });
  Object.assign(server, { aheadMs: 0, online: true, asked: 0 });
  changes = [];
  meanwhile = null;
  clock = newClock();
});

describe.each([["slow", 2 * MINUTE], ["fast", -2 * MINUTE], ["slow by an hour", 60 * MINUTE]])("a clock that is %s", (_name, offsetMs) => {
  beforeEach(async () => {
    server.aheadMs = offsetMs;
    await clock.learn();
    expect(clock.now()).toBe(serverNow());
  });

  test("and is put right: the offset goes at once, and is measured again", async () => {
    pass(20_000);
    device.wall += offsetMs;
    expect(clock.now()).toBe(serverNow());
    expect(changes.at(-1)).toBeNull();
    await vi.waitFor(() => expect(clock.offset?.offsetMs).toBe(0));
    expect(clock.old).toBe(false);
    expect(clock.now()).toBe(serverNow());
  });

  test("and is put right without a network", async () => {
    server.online = false;
    pass(20_000);
    device.wall += offsetMs;
    expect(clock.now()).toBe(serverNow());
    await clock.learn();
    expect(clock.offset).toBeNull();
    expect(clock.now()).toBe(serverNow());
  });

  test("is measured at every look, with no five minutes in between", async () => {
    const { asked } = server;
    await clock.learn();
    expect(server.asked).toBeGreaterThan(asked);
  });

  test("keeps its offset while the device sleeps without a network", async () => {
    server.online = false;
    pass(8 * 60 * MINUTE, { asleep: true });
    expect(clock.now()).toBe(serverNow());
    expect(clock.old).toBe(true);
    await clock.learn();
    expect(clock.now()).toBe(serverNow());
    server.online = true;
    await clock.learn();
    expect(clock.old).toBe(false);
  });
});

test("a clock that was set by hand to anything is measured again at once", async () => {
  await clock.learn();
  pass(1_000);
  device.wall += 25 * MINUTE;
  clock.now();
  await vi.waitFor(() => expect(clock.offset?.offsetMs).toBe(-25 * MINUTE));
  device.wall -= 90 * MINUTE;
  clock.now();
  expect(clock.offset).toBeNull();
  await vi.waitFor(() => expect(clock.offset?.offsetMs).toBe(65 * MINUTE));
});

test("a clock that was set while it was measured is measured again", async () => {
  server.aheadMs = 2 * MINUTE;
  meanwhile = () => { device.wall += 2 * MINUTE; };
  await clock.learn();
  expect(clock.offset?.offsetMs).toBe(0);
});

test("a good offset is measured after five minutes again, not before", async () => {
  await clock.learn();
  expect(server.asked).toBe(3);
  pass(5 * MINUTE - 1);
  await clock.learn();
  expect(server.asked).toBe(3);
  pass(1);
  await clock.learn();
  expect(server.asked).toBe(6);
});

test("less than a second is no jump", async () => {
  await clock.learn();
  device.wall += 1_000;
  clock.now();
  device.wall -= 1_000;
  clock.now();
  expect(changes).toHaveLength(1);
  expect(server.asked).toBe(3);
});

describe("an offset from an earlier run", () => {
  const stored = { offsetMs: 2 * MINUTE, measuredAtMs: START - MINUTE };
  test("is used without a network, and said to be old", async () => {
    server.aheadMs = 2 * MINUTE;
    server.online = false;
    clock.load(stored);
    await clock.learn();
    expect(clock.now()).toBe(serverNow());
    expect(clock.old).toBe(true);
  });
  test("is measured at once, however new", async () => {
    clock.load(stored);
    await clock.learn();
    expect(clock.offset?.offsetMs).toBe(0);
    expect(clock.old).toBe(false);
  });
  test.each([
    ["the future", { offsetMs: -60 * MINUTE, measuredAtMs: START + 59 * MINUTE }],
    ["no sane time", { offsetMs: 8e15, measuredAtMs: START - 1 }],
    ["no number", { offsetMs: Number.NaN, measuredAtMs: START - 1 }],
    ["nowhere", null],
  ])("from %s is not used", (_name, it) => {
    clock.load(it);
    expect(clock.offset).toBeNull();
    expect(clock.now()).toBe(device.wall);
  });
});

test.each([1, -1])("more than a day is told, not corrected (%i)", async (sign) => {
  server.aheadMs = sign * (MOST_CORRECTED_MS + 1_000);
  await clock.learn();
  expect(clock.far).toBe(true);
  expect(clock.now()).toBe(device.wall);
  server.aheadMs = sign * MOST_CORRECTED_MS;
  await clock.learn();
  expect(clock.far).toBe(false);
  expect(clock.now()).toBe(serverNow());
});

test.each([
  [START, true], [Date.UTC(2020, 0), true], [Date.UTC(2020, 0) - 1, false], [Date.UTC(2100, 0) - 1, true], [Date.UTC(2100, 0), false],
  [0, false], [8.64e15 + 1, false], [START + 0.5, false], [String(START), false], [null, false], [undefined, false],
])("a time of %j is sane: %j", async (time, sane) => {
  expect(isSaneTime(time)).toBe(sane);
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ unix_time_ms: time })));
  if (sane) expect(await serverTimeMs()).toBe(time);
  else await expect(serverTimeMs()).rejects.toMatchObject({ refusal: "unexpected" });
  vi.unstubAllGlobals();
});
