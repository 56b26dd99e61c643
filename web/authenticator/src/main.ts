import "./style.css";
import { Database } from "./db";
import { h } from "./dom";
import { isLanguage, preferred, setLanguage, t } from "./i18n";
import { fromFragment } from "./pairing";
import { busy, draw, root, startShell } from "./shell";
import { codesScreen } from "./screens/codes";
import { desktopScreen, fatalScreen } from "./screens/help";
import { welcomeScreen } from "./screens/setup";
import { unlockScreen } from "./screens/unlock";
import { app } from "./state";
import { guardSight } from "./sight";

/** How often it is asked whether the clock has to be measured again. */
const LOOK_AT_CLOCK_MS = 60_000;

function lock(): void {
  if (!app.vault) return;
  app.vault = null;
  // At once: no passcode stays on the screen while something is read.
  root(app.record ? unlockScreen : welcomeScreen);
}

function lockButton(): Node | null {
  if (!app.vault) return null;
  const node = h("button", { type: "button", class: "button small" }, t("lock_now"));
  node.addEventListener("click", () => void busy(node, lock));
  return node;
}

function registerWorker(): void {
  if (!("serviceWorker" in navigator)) return;
  const address = "/authenticator/sw.js";
  // The page's policy wants script addresses marked as meant; this is the only one.
  const types = (window as { trustedTypes?: { createPolicy(name: string, rules: object): { createScriptURL(url: string): string } } }).trustedTypes;
  const url = types?.createPolicy("countersign-worker", {
    createScriptURL: (wanted: string) => {
      if (wanted !== address) throw new TypeError("not our worker");
      return wanted;
    },
  }).createScriptURL(address) ?? address;
  navigator.serviceWorker.register(url, { scope: "/authenticator/", updateViaCache: "none" }).catch(() => {
    // Without it the app works while the server is there.
  });
}

/** A pairing code in the address: taken out of it, so that it stays in no history. */
function takePairing(): void {
  if (!location.hash) return;
  app.pairing = fromFragment(location.hash) ?? app.pairing;
  history.replaceState(history.state, "", location.pathname);
}

async function start(): Promise<void> {
  setLanguage(preferred(navigator.languages));
  takePairing();
  startShell(lockButton);
  if (!isSecureContext || !crypto.subtle) return root(() => fatalScreen("fatal_secure"));
  try {
    app.db = await Database.open();
    const stored = await app.db.setting("language");
    if (isLanguage(stored)) setLanguage(stored);
    app.clock.load(await app.db.setting("offset"));
    app.wiped = (await app.db.setting("wiped")) === true;
    await app.reload();
  } catch {
    return root(() => fatalScreen("fatal_storage"));
  }
  registerWorker();
  if (app.record) root(unlockScreen);
  else root(app.device === "desktop" ? desktopScreen : welcomeScreen);

  guardSight(lock);
  addEventListener("hashchange", () => {
    takePairing();
    if (app.vault) root(codesScreen);
    else if (!app.record) draw();
  });
  const learnClock = () => { if (!document.hidden) void app.clock.learn(); };
  addEventListener("online", learnClock);
  document.addEventListener("visibilitychange", learnClock);
  addEventListener("pageshow", learnClock);
  setInterval(learnClock, LOOK_AT_CLOCK_MS);
  void app.clock.learn();
}

void start();
