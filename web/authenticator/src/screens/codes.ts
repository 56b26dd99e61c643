import { inWords, type Offset } from "../clock";
import type { Credential } from "../db";
import { h, svg } from "../dom";
import { amount, dateTime, t } from "../i18n";
import { secondsLeft, stepAt, totp } from "../otp";
import { button, copy, draw, notice, open, say, steps, type Screen } from "../shell";
import { app, here } from "../state";
import { helpScreen, installScreen } from "./help";
import { removeScreen, renameScreen } from "./manage";
import { startSetup } from "./setup";
import { signScreen } from "./sign";

const RADIUS = 44;
const ROUND = 2 * Math.PI * RADIUS;
/** Seconds at which the ring changes its look: typing a code takes about that long. */
const SHORT = 5;

/** Which credential a watch shows. */
let current = 0;

/** "CNST 4164 8882" */
export const grouped = (id: string) => id.replace(/(.{4})(?=.)/g, "$1 ");

/** When the clock was checked, by the server's. */
export const clockChecked = (offset: Offset) => dateTime(offset.measuredAtMs + offset.offsetMs);

/** The sentences about a clock that is off; none where it isn't. */
export function clockWords(): string[] {
  const { offset, far, old } = app.clock;
  const deviation = offset && inWords(offset.offsetMs);
  if (!deviation) return [];
  const values = { ...here(), span: amount(deviation.amount, deviation.unit) };
  return [
    far ? t("clock_far", values) : t(`clock_${deviation.direction}`, values),
    ...(old ? [t("clock_old", { time: clockChecked(offset) })] : []),
    t(far ? "clock_set" : "clock_advice"),
  ];
}

export function storageNotice(): HTMLElement | null {
  if (app.storageSafe) return null;
  const why = app.platform === "ios" ? "storage_ios" : app.installed ? "storage_installed" : "storage_other";
  return notice("warning", t("storage_title"), t(why), t("storage_lost"),
    app.installed ? null : button(t("how_to_install"), "small", () => open(installScreen)));
}

interface Card {
  readonly node: HTMLElement;
  tick(nowMs: number): void;
}

interface CodeView {
  readonly nodes: readonly HTMLElement[];
  tick(nowMs: number): void;
}

/**
 * A code with its ring and what is left of it. `frame` is marked while that is little.
 */
export function codeView(credential: Credential, name: string, frame: () => HTMLElement, compute: (nowMs: number) => Promise<string | null>): CodeView {
  const groups = [h("span"), h("span")] as const;
  const left = h("span", { class: "ring-number", "aria-hidden": "true" });
  const leftWords = h("span", { id: `left-${name}`, class: "sr" });
  const arc = svg("circle", { cx: 50, cy: 50, r: RADIUS, class: "ring-arc", "stroke-dasharray": ROUND, transform: "rotate(-90 50 50)" });
  const ring = h("span", { class: "ring", "aria-hidden": "true" },
    svg("svg", { viewBox: "0 0 100 100" }, svg("circle", { cx: 50, cy: 50, r: RADIUS, class: "ring-track" }), arc), left);
  let code = "";
  let step = -1;
  let failed = false;

  const digits = h("button", {
    type: "button",
    class: "code",
    // Told when the button gets the focus, not every second.
    "aria-describedby": leftWords.id,
    onclick: () => { if (code) void copy(code, "passcode_copied"); },
  }, h("span", { class: "sr" }, t("passcode")), h("span", { class: "digits" }, ...groups), h("span", { class: "sr" }, t("copy_id")), ring);
  const fault = h("p", { class: "field-error", hidden: true }, t("unreadable"));

  const words = (seconds: number) => t("seconds_left", { seconds: amount(seconds, "second") });
  let seconds = credential.period;
  // The words stand still while they have the focus: a reader would tell every change.
  digits.addEventListener("focus", () => { leftWords.textContent = words(seconds); });

  async function renew(at: number, nowMs: number) {
    step = at;
    try {
      const fresh = await compute(nowMs);
      if (fresh === null || step !== at) return;
      code = fresh;
      const half = Math.ceil(code.length / 2);
      // A box for each digit, so that a reader says "four, one", not "forty-one".
      const boxes = [...code].map((digit) => h("span", {}, digit));
      groups[0].replaceChildren(...boxes.slice(0, half));
      groups[1].replaceChildren(...boxes.slice(half));
    } catch {
      failed = true;
      digits.hidden = true;
      fault.hidden = false;
    }
  }

  return {
    nodes: [digits, leftWords, fault],
    tick(nowMs) {
      if (failed) return;
      const at = stepAt(nowMs, credential.period);
      if (at !== step) void renew(at, nowMs);
      seconds = secondsLeft(nowMs, credential.period);
      left.textContent = String(seconds);
      arc.setAttribute("stroke-dashoffset", String(ROUND * (1 - seconds / credential.period)));
      frame().classList.toggle("short", seconds <= SHORT);
      if (document.activeElement !== digits) leftWords.textContent = words(seconds);
    },
  };
}

function codeCard(credential: Credential, index: number): Card {
  const view = codeView(credential, String(index), () => node, async (nowMs) => {
    const { vault } = app;
    return vault && totp(await vault.seed(credential), nowMs, credential);
  });
  const node = h("section", { class: `card token${index === current ? " current" : ""}`, "aria-labelledby": `name-${index}` },
    h("div", { class: "id-row" },
      h("div", {},
        h("p", { class: "label" }, t("credential_id")),
        h("p", { class: "id" }, grouped(credential.id))),
      button(t("copy_id"), "small", () => copy(credential.id, "id_copied"), t("copy_id_label", { id: grouped(credential.id) }))),
    ...view.nodes,
    h("p", { class: "tap", "aria-hidden": "true" }, t("tap_to_copy")),
    h("div", { class: "actions sign" }, button(t("sign"), "", () => open(() => signScreen(credential)), t("sign_label", { name: credential.name }))),
    h("div", { class: "name-row" },
      h("h2", { id: `name-${index}` }, credential.name),
      button(t("rename"), "quiet small", () => open(() => renameScreen(credential)), t("rename_label", { name: credential.name })),
      button(t("remove"), "quiet small", () => open(() => removeScreen(credential)), t("remove_label", { name: credential.name, id: grouped(credential.id) }))));
  return { node, tick: view.tick };
}

/** Calls `tick` now and on every second, by the corrected clock, until what it answers is called. */
export function everySecond(tick: (nowMs: number) => void): () => void {
  let timer = 0;
  const run = () => {
    clearTimeout(timer);
    const now = app.clock.now();
    tick(now);
    timer = window.setTimeout(run, 1000 - (now % 1000) + 5);
  };
  run();
  // Timers sleep with the device; what is on the screen when it wakes must be right at once.
  document.addEventListener("visibilitychange", run);
  app.addEventListener("clock", run);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", run);
    app.removeEventListener("clock", run);
  };
}

/** What is left to do on the computer before the token is worth anything. */
function todo(credential: Credential): HTMLElement | null {
  if (credential.added) return null;
  return notice("info", t("todo_title"),
    ...(app.paired === credential.id ? [t("todo_paired")] : [steps(t("todo_unpaired_1"), t("todo_unpaired_2"))]),
    t("todo_until", { time: dateTime(credential.expiresAtMs) }),
    button(t("todo_done"), "small", async () => {
      try {
        await app.db.changeCredential(credential.id, { added: true });
        await app.reload();
        draw();
      } catch {
        say(t("error_change"));
      }
    }));
}

export function codesScreen(): Screen {
  current = Math.min(current, app.credentials.length - 1);
  const cards = app.credentials.map(codeCard);
  const clock = h("div", { class: "aside" });
  const showClock = () => {
    const words = clockWords();
    clock.replaceChildren(...(words.length > 0 ? [notice(app.clock.far ? "warning" : "info", null, ...words)] : []));
  };
  showClock();
  app.addEventListener("clock", showClock);

  const stop = everySecond((now) => {
    for (const card of cards) card.tick(now);
  });

  const next = h("button", { type: "button", class: "button watch-next" });
  const showNext = () => {
    const name = app.credentials[current]!.name;
    next.replaceChildren(h("span", {}, name), h("span", { "aria-hidden": "true" }, "\u203a"));
    next.setAttribute("aria-label", t("next_token_label", { name }));
    cards.forEach((card, at) => card.node.classList.toggle("current", at === current));
  };
  next.addEventListener("click", () => {
    current = (current + 1) % cards.length;
    showNext();
  });
  showNext();

  return {
    title: t("codes_title"),
    quiet: true,
    name: "codes",
    body: [
      app.pairing ? notice("info", t("pair_ready"), button(t("add_token"), "small", startSetup)) : null,
      h("div", { class: "tokens" }, ...cards.map((card, at) => h("div", { class: "slot" }, todo(app.credentials[at]!), card.node))),
      cards.length > 1 && next,
      clock,
      h("div", { class: "aside" }, storageNotice()),
      h("div", { class: "actions bottom" },
        button(t("add_token"), "", startSetup),
        button(t("more"), "quiet", () => open(helpScreen))),
    ],
    leave: () => {
      stop();
      app.removeEventListener("clock", showClock);
    },
  };
}
