import { beforeEach, expect, test, vi } from "vitest";
import { guardSight, OUT_OF_SIGHT_MS } from "../src/sight";

const page = new EventTarget();
const clock = { wall: 0, steady: 0, hidden: false };
let timers: (() => void)[] = [];
let drop: ReturnType<typeof vi.fn<() => void>>;

vi.stubGlobal("document", { addEventListener: page.addEventListener.bind(page), get hidden() { return clock.hidden; } });
vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
vi.stubGlobal("window", { setTimeout: (act: () => void, ms: number) => { if (ms === OUT_OF_SIGHT_MS) timers.push(act); return 1; } });
vi.spyOn(Date, "now").mockImplementation(() => clock.wall);
vi.spyOn(performance, "now").mockImplementation(() => clock.steady);

function hide(hidden: boolean) {
  clock.hidden = hidden;
  page.dispatchEvent(new Event("visibilitychange"));
}

drop = vi.fn<() => void>();
guardSight(() => drop());
beforeEach(() => {
  hide(false);
  drop = vi.fn<() => void>();
  timers = [];
});

test("a timer drops the keys while the page is out of sight", () => {
  hide(true);
  expect(timers).toHaveLength(1);
  timers[0]!();
  expect(drop).toHaveBeenCalledOnce();
});

test("back before a minute: nothing is dropped", () => {
  hide(true);
  clock.wall += OUT_OF_SIGHT_MS - 1;
  clock.steady += OUT_OF_SIGHT_MS - 1;
  hide(false);
  expect(drop).not.toHaveBeenCalled();
});

test.each([
  ["the timer slept with the page", OUT_OF_SIGHT_MS, OUT_OF_SIGHT_MS],
  ["the steady clock stood still", OUT_OF_SIGHT_MS, 0],
  ["the wall clock was set back", -3_600_000, OUT_OF_SIGHT_MS],
])("back after a minute, though %s: dropped", (_why, wall, steady) => {
  hide(true);
  clock.wall += wall;
  clock.steady += steady;
  hide(false);
  expect(drop).toHaveBeenCalledOnce();
});

test("being told twice that the page is hidden starts the minute once", () => {
  hide(true);
  clock.wall += 40_000;
  page.dispatchEvent(new Event("pagehide"));
  clock.wall += 20_000;
  hide(false);
  expect(drop).toHaveBeenCalledOnce();
});
