import type { Credential } from "../db";
import { h } from "../dom";
import { t } from "../i18n";
import { button, field, form, notice, paragraph, root, say, type Screen } from "../shell";
import { app, here } from "../state";
import { codesScreen, grouped } from "./codes";
import { welcomeScreen } from "./setup";

const MAX_NAME = 40;

export function renameScreen(credential: Credential): Screen {
  const name = field("name", t("rename_name"), t("rename_hint"), { type: "text", maxlength: MAX_NAME, value: credential.name });
  return {
    title: t("rename_title"),
    body: [
      form(t("save"), async () => {
        const wanted = name.input.value.trim();
        if (!wanted || wanted.length > MAX_NAME) return name.fault(t("rename_empty"));
        try {
          await app.db.changeCredential(credential.id, { name: wanted });
          await app.reload();
          root(codesScreen);
        } catch {
          name.fault(t("error_change"));
        }
      }, name.node),
    ],
  };
}

/** After something was removed: what there is to show now. */
async function afterRemoval(): Promise<void> {
  await app.reload();
  if (app.credentials.length > 0) return root(codesScreen);
  app.vault = null;
  root(welcomeScreen);
}

export function removeScreen(credential: Credential): Screen {
  // In a sentence an ID must not be torn apart at the end of a line.
  const id = grouped(credential.id).replaceAll(" ", "\u00a0");
  return {
    title: t("remove_title"),
    body: [
      paragraph(t("remove_text", { name: credential.name, id })),
      app.credentials.length === 1 ? notice("warning", null, t("remove_last")) : null,
      paragraph(t("remove_computer")),
      h("div", { class: "actions stack" },
        button(t("remove_confirm", { id }), "danger", async () => {
          try {
            await app.db.removeCredential(credential.id);
          } catch {
            return say(t("error_change"));
          }
          await afterRemoval();
        }),
        button(t("cancel"), "", () => history.back())),
    ],
  };
}

export function startOverScreen(): Screen {
  return {
    title: t("start_over_title"),
    body: [
      paragraph(t("start_over_text", here())),
      h("ul", {}, ...app.credentials.map((it) => h("li", {}, `${it.name}, `, h("span", { class: "id" }, grouped(it.id))))),
      paragraph(t("start_over_then")),
      h("div", { class: "actions stack" },
        button(t("start_over_confirm"), "danger", async () => {
          try {
            await app.db.wipe();
          } catch {
            return say(t("error_change"));
          }
          await afterRemoval();
        }),
        button(t("cancel"), "", () => history.back())),
    ],
  };
}
