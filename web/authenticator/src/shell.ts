// The frame around every screen: header, heading, focus, the way back, and short messages.
import { h, svg } from "./dom";
import { language, t, type Key } from "./i18n";

export interface Screen {
  readonly title: string;
  readonly body: readonly (Node | null | false)[];
  /** The heading is there for screen readers only. */
  readonly quiet?: boolean;
  readonly name?: string;
  /** What the person does first here; else the heading gets the focus, so that it is read. */
  readonly focus?: HTMLElement;
  readonly leave?: () => void;
}
type Make = () => Screen;

const stack: Make[] = [];
let shown: Screen | null = null;
let main: HTMLElement;
let actions: HTMLElement;
let toast: HTMLElement;
let toastTimer = 0;

/** What stands at the right of the header: set by the app, as it depends on whether it is unlocked. */
let headerAction: () => Node | null = () => null;

function mark(): SVGElement {
  const stroke = (d: string, kind: string) => svg("path", { d, class: kind });
  return svg("svg", { viewBox: "0 0 32 32", class: "mark", "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 8, class: "mark-ground" }),
    stroke("M7 13.5l4.5 4.5L19 9", "mark-back"),
    stroke("M13 18l4 4 8.5-10", "mark-front"),
    stroke("M8 26h16", "mark-back mark-line"));
}

export function startShell(action: () => Node | null): void {
  headerAction = action;
  actions = h("div", { class: "top-actions" });
  main = h("main", { id: "main" });
  toast = h("p", { class: "toast", role: "status" });
  document.getElementById("app")!.append(
    h("header", { class: "top" }, mark(), h("span", { class: "brand" }), actions), main, toast);
  history.replaceState({ depth: 1 }, "", location.pathname);
  addEventListener("popstate", (event) => {
    const depth = (event.state as { depth?: number } | null)?.depth ?? 1;
    if (depth >= stack.length) return;
    stack.length = depth;
    draw();
  });
}

export function draw(): void {
  const make = stack[stack.length - 1];
  if (!make) return;
  shown?.leave?.();
  shown = make();
  const back = stack.length > 1 && h("button", { class: "back", type: "button", onclick: () => history.back() }, t("back"));
  const heading = h("h1", { tabindex: -1, class: shown.quiet ? "sr" : null }, shown.title);
  document.documentElement.lang = language();
  document.title = `${shown.title} - ${t("app_full")}`;
  document.querySelector(".brand")!.textContent = t("app");
  actions.replaceChildren(...[headerAction()].filter((it) => it !== null));
  main.className = shown.name ?? "";
  main.replaceChildren(...[back, heading, ...shown.body].filter((it): it is HTMLElement => Boolean(it)));
  scrollTo(0, 0);
  (shown.focus ?? heading).focus({ preventScroll: true });
}

/** Shows a screen with no way back from it. */
export function root(make: Make): void {
  const pushed = stack.length - 1;
  stack.splice(0, stack.length, make);
  if (pushed > 0) history.go(-pushed);
  draw();
}

/** Shows a screen on top of the present one. */
export function open(make: Make): void {
  stack.push(make);
  history.pushState({ depth: stack.length }, "");
  draw();
}

/** Shows a screen in place of the present one; the way back leads where it led before. */
export function swap(make: Make): void {
  stack[stack.length - 1] = make;
  draw();
}

/**
 * For what takes time: afterwards, whether the person is still on the screen that it began on. Who
 * has gone elsewhere meanwhile is not pulled back.
 */
export function staying(): () => boolean {
  const at = shown;
  return () => shown === at;
}

export function say(text: string): void {
  clearTimeout(toastTimer);
  toast.textContent = text;
  toast.classList.add("shown");
  toastTimer = window.setTimeout(() => {
    toast.classList.remove("shown");
    toast.textContent = "";
  }, 2500);
}

export async function copy(text: string, done: Key): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(t(done));
  } catch {
    say(t("copy_failed"));
  }
}

// Parts of screens

export type NoticeKind = "done" | "info" | "warning" | "error";

export function notice(kind: NoticeKind, title: string | null, ...children: (Node | string | null)[]): HTMLElement {
  return h("div", { class: `notice notice-${kind}`, role: kind === "error" ? "alert" : null },
    title ? h("h2", {}, title) : null,
    ...children.map((child, at) => (typeof child === "string"
      // The kind in a word, so that it isn't told by the color alone.
      ? h("p", {}, at === 0 && !title ? h("strong", { class: "notice-word" }, `${t(`notice_${kind}`)} `) : null, child)
      : child)));
}

export function button(text: string, kind: string, act: () => void | Promise<void>, label: string | null = null): HTMLButtonElement {
  const node = h("button", { type: "button", class: `button ${kind}`, "aria-label": label }, text);
  node.addEventListener("click", () => void busy(node, act));
  return node;
}

/** Runs `act` once at a time; a button that waits says so. */
export async function busy(node: HTMLButtonElement, act: () => void | Promise<void>): Promise<void> {
  if (node.getAttribute("aria-disabled") === "true") return;
  const result = act();
  if (!(result instanceof Promise)) return;
  const before = node.textContent;
  node.setAttribute("aria-disabled", "true");
  // Only what takes long enough to be noticed gets a word.
  const timer = setTimeout(() => { node.textContent = t("working"); }, 150);
  try {
    await result;
  } finally {
    clearTimeout(timer);
    node.textContent = before;
    node.removeAttribute("aria-disabled");
  }
}

export interface Field {
  readonly node: HTMLElement;
  readonly input: HTMLInputElement;
  fault(text: string | null): void;
}

export function field(id: string, label: string, hint: string | null, props: Record<string, string | number | boolean>): Field {
  const hintId = hint ? `${id}-hint` : "";
  const error = h("p", { id: `${id}-error`, class: "field-error", hidden: true });
  const input = h("input", { id, autocomplete: "off", autocapitalize: "none", spellcheck: "false", ...props, "aria-describedby": hintId || null });
  const node = h("div", { class: "field" }, h("label", { for: id }, label), hint ? h("p", { id: hintId, class: "hint" }, hint) : null, error, input);
  return {
    node,
    input,
    fault(text) {
      error.hidden = text === null;
      error.textContent = text ?? "";
      node.classList.toggle("invalid", text !== null);
      input.setAttribute("aria-describedby", [text === null ? "" : error.id, hintId].filter(Boolean).join(" "));
      if (text === null) input.removeAttribute("aria-invalid");
      else {
        input.setAttribute("aria-invalid", "true");
        input.focus();
      }
    },
  };
}

/** A form that never leaves the page. Enter and the button do the same. */
export function form(submit: string, act: () => void | Promise<void>, ...children: (Node | null)[]): HTMLFormElement {
  const go = h("button", { type: "submit", class: "button primary" }, submit);
  return h("form", {
    novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      void busy(go, act);
    },
  }, ...children, h("div", { class: "actions" }, go));
}

export function steps(...texts: string[]): HTMLElement {
  return h("ol", { class: "steps" }, ...texts.map((text) => h("li", {}, text)));
}

export const paragraph = (text: string, kind: string | null = null) => h("p", { class: kind }, text);
