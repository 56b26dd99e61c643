import type { Credential } from "../db";
import { h } from "../dom";
import { t } from "../i18n";
import { ocra, stepAt, type Question } from "../otp";
import { button, field, form, notice, paragraph, staying, swap, type Screen } from "../shell";
import { readNumber, readSigning, type Signing } from "../signing";
import { app } from "../state";
import { codeView, everySecond } from "./codes";
import { scanScreen } from "./scan";

type Text = Extract<Signing, { kind: "text" }>;

/** Begins: a picture to scan, or a number to type. */
export function signScreen(credential: Credential, trouble: string | null = null): Screen {
  const number = field("number", t("sign_number"), t("sign_number_hint"), { type: "text", inputmode: "numeric", maxlength: 16, class: "id" });
  return {
    title: t("sign_title"),
    body: [
      trouble ? notice("error", null, trouble) : null,
      paragraph(t("sign_where")),
      button(t("pair_scan"), "primary wide", () => swap(() => scanScreen((text) => take(credential, text), (fault) => signScreen(credential, fault)))),
      form(t("sign_submit"), () => {
        const question = readNumber(number.input.value);
        if (!question) return number.fault(t("sign_number_bad"));
        swap(() => boundScreen(credential, question, notice("warning", null, t("sign_unseen"))));
      }, number.node),
    ],
  };
}

function take(credential: Credential, text: string): string | null {
  if (!text.startsWith("countersign-sign ")) return t("sign_not_ours");
  const still = staying();
  void readSigning(text, location.origin).then((found) => {
    if (!still()) return;
    if (found.kind === "text") return swap(() => reviewScreen(credential, found));
    swap(() => signScreen(credential, found.kind === "other-server" ? t("sign_other_server", { host: found.host }) : t("sign_not_ours")));
  });
  return null;
}

function contents(text: Text): HTMLElement {
  return h("div", { class: "card" },
    h("p", { class: "label" }, t("sign_patient")), h("p", { class: "id" }, text.initials || "-"),
    h("p", { class: "label" }, t("sign_what")), h("ul", {}, ...text.lines.map((line) => h("li", {}, line))));
}

/** What is signed is read before there is a code for it. */
function reviewScreen(credential: Credential, text: Text): Screen {
  return {
    title: t("sign_review"),
    body: [
      contents(text),
      h("div", { class: "actions stack" },
        button(t("sign_yes"), "primary wide", () => swap(() => boundScreen(credential, text.question, contents(text)))),
        button(t("sign_no"), "", () => swap(() => signScreen(credential, t("sign_refused"))))),
    ],
  };
}

function boundScreen(credential: Credential, question: Question, said: HTMLElement): Screen {
  const view = codeView(credential, "sign", () => frame, async (nowMs) => {
    const { vault } = app;
    return vault && ocra(await vault.seed(credential), credential.algorithm, question, stepAt(nowMs, credential.period), credential.period);
  });
  const frame = h("section", { class: "card token", "aria-labelledby": "bound" }, h("h2", { id: "bound" }, t("sign_code")), ...view.nodes);
  return {
    title: t("sign_code_title"),
    body: [said, frame, paragraph(t("sign_type"))],
    leave: everySecond(view.tick),
  };
}
