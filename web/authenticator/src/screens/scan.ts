import { h } from "../dom";
import { t } from "../i18n";
import { scan, type Scan } from "../scan";
import { button, paragraph, swap, type Screen } from "../shell";
import { here } from "../state";

/**
 * Reads a QR code. `take` answers what is wrong with one, or nothing where it takes it over; `instead` is the
 * screen for whoever can't scan, with what went wrong.
 */
export function scanScreen(take: (text: string) => string | null, instead: (trouble: string | null) => Screen): Screen {
  const video = h("video", { muted: true, playsinline: true, "aria-label": t("scan_video") });
  const trouble = h("p", { class: "field-error", role: "status" });
  let running: Scan | null = null;
  let left = false;
  void (async () => {
    try {
      running = await scan(video, (text) => {
        const fault = take(text);
        trouble.textContent = fault;
        return fault === null;
      });
      if (left) running.stop();
    } catch (error) {
      if (left) return;
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      swap(() => instead(t(denied ? "camera_denied" : "camera_none")));
    }
  })();
  return {
    title: t("scan_title"),
    body: [
      paragraph(t("scan_hint", here())),
      h("div", { class: "finder" }, video),
      trouble,
      button(t("scan_type"), "wide", () => swap(() => instead(null))),
    ],
    leave: () => {
      left = true;
      running?.stop();
    },
  };
}
