// Small comforts on top of pages that work without them. Nothing here decides or confirms
// anything, and nothing here reads a secret except to empty its field.
"use strict";

const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

/** A span of time in words, in the form the server writes. */
function span(seconds) {
  const m = Math.floor(seconds / 60);
  const s = seconds % 60;
  if (m === 0) return s === 1 ? "1 second" : `${s} seconds`;
  return s === 0 ? `${m} min` : `${m} min ${s} s`;
}

/**
 * Counts down from `seconds`. Reads the clocks on every tick rather than counting ticks, so a tab
 * that slept is right as soon as it wakes. The steady clock may stand still while the machine
 * sleeps and the wall clock may be set back, so the one that has gone further counts.
 * Returns a function that sets the time left anew.
 */
function countdown(seconds, tick) {
  let total, steady, wall, timer;
  const run = () => {
    clearTimeout(timer);
    const left = total - Math.max(performance.now() - steady, Date.now() - wall);
    tick(Math.max(0, Math.ceil(left / 1000)));
    if (left > 0) timer = setTimeout(run, (left % 1000) + 5);
  };
  const start = (more) => {
    [total, steady, wall] = [more * 1000, performance.now(), Date.now()];
    run();
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  start(seconds);
  return start;
}

// Times come in the practice's time zone. Where the practice is not known, such as on the sign-in page, the end of a
// lockout comes in UTC and is shown in the reader's own time zone, with the original as a tooltip.
const clock = new Intl.DateTimeFormat("en-US", { hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
each(".clock[data-in]", (box) => {
  box.title = box.textContent;
  box.textContent = clock.format(Date.now() + Number(box.dataset.in) * 1000);
});

// Locks and waits: <span data-seconds data-done><span class="count">
each("[data-seconds]", (box) => {
  const count = box.querySelector(".count");
  let over = false;
  countdown(Number(box.dataset.seconds), (left) => {
    if (over) return;
    if (left > 0) { count.textContent = span(left); return; }
    over = true;
    box.textContent = box.dataset.done; // the box around it is a live region: said once
  });
});

// A pairing: asks until the phone has used the code, then goes on.
each("[data-pairing]", (box) => {
  const ask = async () => {
    try {
      const answer = await fetch(box.dataset.pairing, { cache: "no-store" });
      const { state } = answer.ok ? await answer.json() : {};
      if (state === "used") { location.assign(box.dataset.next); return; }
      if (state === "over") { location.assign(box.dataset.over); return; }
    } catch { /* the network is away: ask again */ }
    setTimeout(ask, document.hidden ? 10000 : 2000);
  };
  setTimeout(ask, 2000);
});

// Errors first. The browser does this too (autofocus), but not where the address has a fragment.
document.querySelector("[data-focus]")?.focus();

// Show and hide the passphrase.
each("[data-reveal]", (button) => {
  const input = document.getElementById(button.dataset.reveal);
  const set = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.hidden = false;
  button.addEventListener("click", () => { set(input.type === "password"); input.focus(); });
  input.form.addEventListener("submit", () => set(false)); // so no browser keeps it as plain text
});

// A code can be used once: a double click must not send it twice.
each("form[data-once]", (form) => {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    form.querySelector("[type=submit]")?.setAttribute("aria-disabled", "true");
  });
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  each("form[data-once]", (form) => {
    delete form.dataset.sent;
    form.querySelector("[type=submit]")?.removeAttribute("aria-disabled");
  });
  emptySecrets();
});

function emptySecrets() {
  each("[data-secret]", (input) => { input.value = ""; });
}

// The menu closes on Escape and on a click outside.
each("[data-menu]", (menu) => {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
});

// Manufacturer and type from the credential ID as it is typed.
each("form[data-infer]", (form) => {
  let rules = [];
  try { rules = JSON.parse(form.dataset.prefixes); } catch { return; }
  rules.sort((a, b) => b.prefix.length - a.prefix.length);
  const { credential_id: id, manufacturer, token_type: type } = form.elements;
  const found = form.querySelector("[data-inferred]");
  const label = (select) => select.selectedOptions[0]?.textContent ?? "";
  const has = (select, value) => [...select.options].some((option) => option.value === value);
  const find = () => {
    const plain = id.value.toUpperCase().replace(/[^A-Z0-9]/g, "");
    return rules.find((it) => plain.startsWith(it.prefix));
  };
  // A choice that the ID made is not the person's own, also when the form comes back with an error.
  const byHand = new Set();
  for (const [select, made] of [[manufacturer, find()?.manufacturer], [type, find()?.type]]) {
    if (select.value && select.value !== made) byHand.add(select);
    select.addEventListener("change", () => (select.value ? byHand.add(select) : byHand.delete(select)));
  }
  const look = () => {
    const rule = find();
    const set = (select, value) => {
      if (!byHand.has(select)) select.value = value && has(select, value) ? value : "";
    };
    set(manufacturer, rule?.manufacturer);
    set(type, rule?.type);
    const words = [manufacturer, type].filter((it) => rule && it.value).map(label).join(", ");
    const clash = rule && ((byHand.has(manufacturer) && manufacturer.value !== rule.manufacturer)
      || (rule.type && byHand.has(type) && type.value !== rule.type));
    const text = !rule ? "" : clash ? "This ID does not match the manufacturer and type chosen above." : `From the ID: ${words}.`;
    if (found.textContent !== text) found.textContent = text;
  };
  id.addEventListener("input", look);
  for (const select of [manufacturer, type]) select.addEventListener("change", look);
});

// What was done is said once: the same address, loaded again later, says nothing that may not be true any more.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

// The session: a warning two minutes before it ends, and nothing private on screen after it.
const session = document.querySelector("[data-session]");
if (session && document.body.dataset.sessionSeconds) {
  const length = Number(document.body.dataset.sessionSeconds);
  const warning = document.createElement("p");
  const text = document.createElement("span");
  const count = document.createElement("span");
  const link = document.createElement("a");
  count.className = "count";
  count.setAttribute("aria-hidden", "true");
  link.href = session.dataset.home;
  link.target = "_blank";
  link.rel = "noopener";
  warning.append(text, " ", count, " ", link);
  let state = "";
  const enter = (next, words, linkWords) => {
    if (state === next) return;
    state = next;
    session.hidden = next === "";
    text.textContent = words;
    link.textContent = linkWords;
    session.replaceChildren(warning);
    if (next !== "over") return;
    emptySecrets();
    each("[data-private]", (it) => it.remove());
  };
  const again = countdown(length, (left) => {
    if (left === 0) enter("over", "Your session has ended. Nothing was submitted. What you entered is still here, except passcodes and passphrases.", "Sign in again in a new tab, then come back");
    else if (left <= 120) enter("soon", "You will be signed out soon.", "Stay signed in (opens a new tab)");
    else enter("", "", "");
    count.textContent = left > 0 && left <= 120 ? span(left) : "";
  });
  // Another tab that loads a page keeps the session going for this one too.
  if ("BroadcastChannel" in window) {
    const channel = new BroadcastChannel("countersign-session");
    channel.onmessage = (event) => { if (Number.isFinite(event.data)) again(event.data); };
    channel.postMessage(length);
  }
}
