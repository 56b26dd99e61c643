import { h } from "../dom";
import { isLanguage, language, LANGUAGES, setLanguage, t } from "../i18n";
import { button, copy, draw, notice, open, paragraph, steps, type Screen } from "../shell";
import { app, here } from "../state";
import { clockChecked, clockWords } from "./codes";

export function languagePicker(): HTMLElement {
  const select = h("select", {
    id: "language",
    onchange: () => {
      if (!isLanguage(select.value)) return;
      setLanguage(select.value);
      // Not being able to remember it is no reason to trouble anybody.
      app.db?.set("language", select.value).catch(() => {});
      draw();
      document.getElementById("language")?.focus();
    },
  });
  for (const [code, name] of Object.entries(LANGUAGES)) {
    select.append(h("option", { value: code, lang: code, selected: code === language() }, name));
  }
  return h("div", { class: "field" }, h("label", { for: "language" }, t("language")), select);
}

/** The way to help from screens that are not the passcodes. */
export function footer(): HTMLElement {
  return h("div", { class: "actions bottom" }, button(t("more"), "quiet", () => open(helpScreen)));
}

function installSteps(platform: "ios" | "android"): HTMLElement {
  return steps(t(`install_${platform}_1`), t(`install_${platform}_2`), t(`install_${platform}_3`), t(`install_${platform}_4`));
}

/** The steps for this device, or for both kinds where it isn't known. */
export function installHelp(): Node[] {
  const { platform, pairing } = app;
  return [
    paragraph(t("install_why")),
    ...(platform === "other"
      ? (["ios", "android"] as const).flatMap((it) => [h("h2", {}, t(`install_${it}`)), installSteps(it)])
      : [installSteps(platform)]),
    ...(pairing ? [h("div", { class: "card" }, paragraph(t("install_pair")), h("p", { class: "id pair-code" }, pairing.replace(/(.{4})(?=.)/g, "$1 ")),
      button(t("copy_pair"), "", () => copy(pairing, "pair_copied")))] : []),
  ];
}

export function installScreen(): Screen {
  return { title: t("install_title"), body: app.installed ? [notice("done", null, t("install_done")), ...installHelp()] : installHelp() };
}

export function movingScreen(): Screen {
  return {
    title: t("moving_title"),
    body: [
      paragraph(t("moving_intro", here())),
      steps(t("moving_1"), t("moving_2"), t("moving_3"), t("moving_4", here()), t("moving_5")),
      notice("info", null, t("moving_gone")),
    ],
  };
}

export function helpScreen(): Screen {
  const clock = clockWords();
  const { offset } = app.clock;
  const link = (text: string, to: () => Screen) => h("li", {}, button(text, "row", () => open(to)));
  return {
    title: t("more_title"),
    body: [
      h("ul", { class: "links" }, link(t("moving_title"), movingScreen), link(t("how_to_install"), installScreen)),
      languagePicker(),
      h("h2", {}, t("clock_title")),
      ...(clock.length > 0 ? clock.map((it) => paragraph(it))
        : [paragraph(offset ? t("clock_right", { ...here(), time: clockChecked(offset) }) : t("clock_unknown"))]),
      h("h2", {}, t("about_title")),
      paragraph(t("about_keys", here())),
      paragraph(t("welcome_lost")),
      paragraph(t("about_module"), "hint"),
    ],
  };
}

/** A computer: no set-up here, but the way to a phone. */
export function desktopScreen(): Screen {
  const address = `${location.origin}/authenticator/`;
  const picture = h("img", { class: "open-qr", src: "/authenticator/open.svg", width: 220, height: 220, alt: t("desktop_qr", { address }) });
  // Without the picture the address is still there.
  picture.addEventListener("error", () => { picture.hidden = true; });
  return {
    title: t("desktop_title"),
    body: [
      paragraph(t("desktop_why")),
      h("div", { class: "card center" }, paragraph(t("desktop_scan")), picture, h("p", { class: "id" }, address)),
      languagePicker(),
    ],
  };
}

export function fatalScreen(why: "fatal_storage" | "fatal_secure"): Screen {
  return { title: t("fatal_title"), body: [notice("error", null, t(why)), button(t("try_again"), "", () => location.reload())] };
}
