import type { Credential } from "../db";
import { StorageError, VaultChanged } from "../db";
import { h } from "../dom";
import { storageIsSafe } from "../device";
import { t, type Key } from "../i18n";
import { parsePairing } from "../pairing";
import { PasskeyError, passkeysMayWork } from "../passkey";
import { holdsPortalSession, provision, ProvisionError, type Refusal } from "../provision";
import { button, field, form, notice, open, paragraph, root, say, staying, swap, type Screen } from "../shell";
import { app, here } from "../state";
import { MAX_PIN, newPasskeyVault, newPinVault, pinProblem, type OpenVault } from "../vault";
import { codesScreen, storageNotice } from "./codes";
import { desktopScreen, footer, installHelp } from "./help";
import { scanScreen } from "./scan";
import { unlockScreen } from "./unlock";

const REFUSALS: Readonly<Record<Refusal, Key>> = {
  "portal-browser": "portal_text",
  offline: "error_offline",
  unexpected: "error_unexpected",
  update: "error_update",
  "pairing-unknown": "error_pairing_unknown",
  "pairing-malformed": "pair_bad",
  "too-many": "error_too_many",
  full: "error_full",
  "not-confirmed": "error_not_confirmed",
};

/** A new lock whose first credential is still to come. It is stored together with that one. */
let pendingVault: OpenVault | null = null;

function errorText(error: unknown): string {
  if (error instanceof ProvisionError) return t(REFUSALS[error.refusal]);
  return t(error instanceof StorageError ? "error_storage" : "error_other");
}

const isPortalRefusal = (error: unknown) => error instanceof ProvisionError && error.refusal === "portal-browser";

export function portalScreen(): Screen {
  return {
    title: t("portal_title"),
    body: [notice("warning", null, t("portal_text")), paragraph(t("portal_what")), button(t("try_again"), "primary", () => history.back())],
  };
}

/** The checks before every set-up, then the first step that is needed. */
export async function startSetup(): Promise<void> {
  if (app.device === "desktop") return open(desktopScreen);
  const still = staying();
  const next = await firstStep();
  if (still()) open(next);
}

async function firstStep(): Promise<() => Screen> {
  try {
    if (await holdsPortalSession()) return portalScreen;
  } catch (error) {
    return () => troubleScreen(errorText(error));
  }
  app.storageSafe = await storageIsSafe(app.platform, true);
  if (app.vault || pendingVault) return () => pairScreen();
  return (await passkeysMayWork()) ? lockScreen : () => pinScreen();
}

function troubleScreen(text: string): Screen {
  return { title: t("welcome_title"), body: [notice("error", null, text), button(t("try_again"), "primary", () => history.back())] };
}

export function welcomeScreen(): Screen {
  const installFirst = !app.installed && app.platform !== "other" && app.device !== "watch";
  const lost = [h("h2", {}, t("welcome_lost_title")), paragraph(t("welcome_lost")), paragraph(t("welcome_other", here()))];
  return {
    title: t(installFirst ? "install_title" : "welcome_title"),
    body: [
      app.wiped && notice("warning", t("wiped_title"), t("wiped")),
      ...(installFirst
        ? [paragraph(t("welcome_what")), ...installHelp(), h("div", { class: "actions" }, button(t("setup_without_install"), "", () => open(riskScreen)))]
        : [paragraph(t("welcome_what")), ...lost, h("div", { class: "actions" }, button(t("start_setup"), "primary wide", startSetup))]),
      footer(),
    ],
  };
}

/** Set-up in a browser tab: possible, but not without having been told. */
function riskScreen(): Screen {
  return {
    title: t("welcome_title"),
    body: [
      storageNotice(),
      h("h2", {}, t("welcome_lost_title")), paragraph(t("welcome_lost")), paragraph(t("welcome_other", here())),
      h("div", { class: "actions" }, button(t("start_setup"), "primary wide", startSetup)),
    ],
  };
}

function lockScreen(): Screen {
  const trouble = h("div");
  return {
    title: t("lock_title"),
    body: [
      trouble,
      button(t("lock_passkey"), "primary wide", async () => {
        trouble.replaceChildren();
        const still = staying();
        try {
          pendingVault = await newPasskeyVault();
          if (still()) swap(() => pairScreen());
        } catch (error) {
          if (!still()) return;
          const cancelled = error instanceof PasskeyError && error.reason === "cancelled";
          if (!cancelled) return swap(() => pinScreen(t("passkey_unable", here())));
          trouble.replaceChildren(notice("error", null, t("passkey_cancelled")));
        }
      }),
      paragraph(t("lock_passkey_hint", here()), "hint"),
      button(t("lock_pin"), "wide", () => swap(() => pinScreen())),
    ],
  };
}

function pinScreen(trouble: string | null = null): Screen {
  const props = { type: "password", inputmode: "numeric", pattern: "[0-9]*", maxlength: MAX_PIN };
  const first = field("pin", t("pin_new"), t("pin_new_hint", here()), props);
  const again = field("pin-again", t("pin_again"), null, props);
  return {
    title: t("pin_title"),
    body: [
      trouble ? notice("info", null, trouble) : null,
      form(t("save"), async () => {
        first.fault(null);
        again.fault(null);
        const problem = pinProblem(first.input.value);
        if (problem) return first.fault(t(`pin_${problem}`));
        if (first.input.value !== again.input.value) {
          first.input.value = "";
          again.input.value = "";
          return first.fault(t("pin_differs"));
        }
        const still = staying();
        pendingVault = await newPinVault(first.input.value);
        if (still()) swap(() => pairScreen());
      }, first.node, again.node, paragraph(t("pin_nobody", here()), "hint")),
    ],
  };
}

function freeName(): string {
  const taken = new Set(app.credentials.map((it) => it.name));
  for (let number = 1; ; number += 1) {
    const name = t("default_name", { number });
    if (!taken.has(name)) return name;
  }
}

/** The keys at hand are those of a lock that is gone: they are dropped, and the person begins at the door. */
async function vaultChanged(): Promise<void> {
  pendingVault = null;
  app.vault = null;
  // Where that can't be read: the unlock screen finds out.
  await app.reload().catch(() => {});
  const to = app.record ? unlockScreen : welcomeScreen;
  root(() => ({
    title: t("vault_changed_title"),
    body: [
      notice("error", null, t("error_vault_changed"), app.record ? t("vault_changed_unlock") : null),
      button(t(app.record ? "unlock" : "start_setup"), "primary", () => root(to)),
    ],
  }));
}

/** Agrees on a credential with the server and keeps it. Shows it only when it is stored. */
async function connect(pairingCode: string | null): Promise<void> {
  const still = staying();
  try {
    const vault = app.vault ?? pendingVault;
    // Locked meanwhile: the unlock screen is already there.
    if (!vault || app.device === "desktop") return;
    const { offer, seed } = await provision({ deviceClass: app.device, pairingCode });
    // Used, whatever comes now.
    app.pairing = null;
    const credential: Credential = {
      id: offer.credentialId,
      name: freeName(),
      algorithm: offer.algorithm,
      digits: offer.digits,
      period: offer.period,
      createdMs: Date.now(),
      expiresAtMs: offer.expiresAtMs,
      origin: location.origin,
      format: 1,
      seed: await vault.wrapSeed(seed, offer.credentialId),
      added: false,
    };
    const first = vault === pendingVault;
    await app.db.addCredential(credential, vault.record, first);
    pendingVault = null;
    app.paired = pairingCode === null ? null : credential.id;
    if (app.wiped) {
      app.wiped = false;
      app.db.set("wiped", false).catch(() => {});
    }
    await app.reload();
    // Where an older vault was locked during this, it stays locked.
    if (first) app.vault = vault;
    if (app.vault) root(codesScreen);
  } catch (error) {
    if (error instanceof VaultChanged) return vaultChanged();
    const text = errorText(error);
    if (!still()) return say(text);
    // The set-up goes on where it was, with what went wrong on top.
    swap(isPortalRefusal(error) ? portalScreen : () => pairScreen(text));
  }
}

export function pairScreen(trouble: string | null = null): Screen {
  const { pairing } = app;
  if (pairing) {
    return {
      title: t("pair_title"),
      body: [
        trouble ? notice("error", null, trouble) : null,
        h("div", { class: "card" }, h("h2", {}, t("pair_ready")), h("p", { class: "id pair-code" }, pairing.replace(/(.{4})(?=.)/g, "$1 ")), paragraph(t("pair_ready_hint"), "hint")),
        h("div", { class: "actions stack" },
          button(t("pair_submit"), "primary wide", () => connect(pairing)),
          button(t("pair_other"), "", () => {
            app.pairing = null;
            swap(() => pairScreen());
          })),
      ],
    };
  }
  const code = field("pairing", t("pair_code"), t("pair_code_hint"), { type: "text", maxlength: 400, autocapitalize: "characters", class: "id" });
  return {
    title: t("pair_title"),
    body: [
      trouble ? notice("error", null, trouble) : null,
      paragraph(t("pair_where")),
      button(t("pair_scan"), "primary wide", () => swap(() => scanScreen(take, pairScreen))),
      form(t("pair_submit"), async () => {
        const found = parsePairing(code.input.value, location.origin);
        if (found.kind === "code") return connect(found.code);
        code.fault(pairingFault(found) ?? t("pair_bad"));
      }, code.node),
      h("h2", {}, t("pair_none_title")),
      paragraph(t("pair_none_hint")),
      button(t("pair_none"), "", () => connect(null)),
    ],
  };
}

function pairingFault(found: ReturnType<typeof parsePairing>): string | null {
  if (found.kind === "other-server") return t("pair_other_server", { host: found.host });
  return found.kind === "seed" ? t("pair_seed") : null;
}

/** What went wrong with a picture; nothing where its code is taken. */
function take(text: string): string | null {
  const found = parsePairing(text, location.origin);
  if (found.kind !== "code") return pairingFault(found) ?? t("pair_not_ours");
  say(t("working"));
  void connect(found.code);
  return null;
}
