import { h } from "../dom";
import { t } from "../i18n";
import { PasskeyError } from "../passkey";
import { button, field, form, notice, open, paragraph, root, type Screen } from "../shell";
import { app, here } from "../state";
import { MAX_PIN, MAX_TRIES, unlockWithPasskey, unlockWithPin, type OpenVault } from "../vault";
import { codesScreen } from "./codes";
import { footer } from "./help";
import { startOverScreen } from "./manage";
import { welcomeScreen } from "./setup";

async function opened(vault: OpenVault): Promise<void> {
  await app.reload();
  app.vault = vault;
  root(codesScreen);
}

function startOver(question: string): HTMLElement {
  return h("p", { class: "aside" }, `${question} `, button(t("start_over"), "link", () => open(startOverScreen)));
}

function byPin(tries: number): Screen {
  const pin = field("pin", t("unlock_pin"), null, {
    // Not a password of the browser's: nothing should offer to keep it.
    type: "password", inputmode: "numeric", pattern: "[0-9]*", maxlength: MAX_PIN,
  });
  const wrong = (left: number) => (left === 1 ? t("pin_wrong_last", here()) : t("pin_wrong", { left }));
  const submit = form(t("unlock"), async () => {
    const typed = pin.input.value;
    if (!typed) return pin.fault(t("pin_short"));
    pin.fault(null);
    // An empty field is no try; what was typed is, and doesn't stay on the screen.
    pin.input.value = "";
    try {
      const result = await unlockWithPin(app.db, typed);
      if (result.kind === "open") return await opened(result.vault);
      if (result.kind === "wrong") return pin.fault(wrong(result.left));
      app.wiped = true;
      await app.reload();
      root(welcomeScreen);
    } catch {
      pin.fault(t("error_change"));
    }
  }, pin.node);
  if (tries > 0) pin.fault(wrong(Math.max(1, MAX_TRIES - tries)));
  return { title: t("unlock_title"), name: "unlock", focus: pin.input, body: [submit, startOver(t("forgot_pin")), footer()] };
}

function byPasskey(): Screen {
  const trouble = h("div");
  const go = button(t("unlock_passkey"), "primary wide", async () => {
    trouble.replaceChildren();
    try {
      const vault = app.record && (await unlockWithPasskey(app.record));
      if (vault) return await opened(vault);
      trouble.replaceChildren(notice("error", null, t("unlock_unable")));
    } catch (error) {
      const cancelled = error instanceof PasskeyError && error.reason === "cancelled";
      trouble.replaceChildren(notice("error", null, t(cancelled ? "unlock_cancelled" : "unlock_unable")));
    }
  });
  return {
    title: t("unlock_title"),
    name: "unlock",
    focus: go,
    body: [trouble, go, paragraph(t("unlock_passkey_hint"), "hint"), startOver(t("lost_passkey")), footer()],
  };
}

export function unlockScreen(): Screen {
  const lock = app.record?.lock;
  return lock?.method === "pin" ? byPin(lock.tries) : byPasskey();
}
