// Help and settings, languages, sizes of screens, zoom, the keyboard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRightCode, enroll, enrolls, heading, look, open, person, PHONE, PIN, press, shownId, WATCHES } from "./support.mjs";

test("help and settings; the way back; Spanish, remembered", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await press(page, "Help and settings");
  await heading(page, "Help and settings");
  await page.getByText(/^This phone's clock is right\. Checked /).waitFor();
  await look(page, "more");
  await press(page, "Moving to a new phone");
  await page.getByText("Choose \"I have both phones\", then Show pairing code.").waitFor();
  await look(page, "moving");
  await page.goBack();
  await heading(page, "Help and settings");
  await press(page, "How to install");
  await page.getByText("You are in the installed app.").waitFor();
  await press(page, "Back");
  await page.getByLabel("Language").selectOption("es");
  await heading(page, "Ayuda y configuración");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "es");
  await look(page, "more-es");
  await press(page, "Atrás");
  await page.locator(".code").waitFor();
  await look(page, "codes-es");
  await page.reload();
  await heading(page, "Desbloquear");
  await look(page, "unlock-es");
  await context.close();
});

test("Spanish where the phone speaks it", enrolls, async () => {
  const { page, context } = await person({ locale: "es-MX", installed: false });
  await open(page);
  await heading(page, "Primero instale la app");
  await look(page, "install-es");
  await press(page, "Seguir sin instalar");
  await look(page, "risk-es");
  await press(page, "Configurar");
  await look(page, "pin-es");
  await page.getByLabel("PIN", { exact: true }).fill(PIN);
  await page.getByLabel("Repita el PIN").fill(PIN);
  await press(page, "Guardar");
  await heading(page, "Conecte con la computadora");
  await look(page, "pair-es");
  await press(page, "Configurar sin código");
  await page.locator(".code").waitFor();
  await look(page, "codes-first-es");
  await page.getByRole("button", { name: /^Eliminar/ }).click();
  await look(page, "remove-es");
  await context.close();
});

test("watch-sized: one code and its ring, nothing to scroll", enrolls, async () => {
  const { page, context } = await person();
  const first = await enroll(page);
  const fits = (sizes) => page.evaluate(([width, height]) => {
    const box = (of) => of.getBoundingClientRect();
    const inside = (it) => it.left >= 0 && it.top >= 0 && it.right <= width && it.bottom <= height;
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((it) => it.checkVisibility());
    const [digits] = shown(".digits");
    const [ring] = shown(".ring");
    const groups = [...digits.children].map(box);
    const circle = box(ring);
    const middle = [circle.left + circle.width / 2, circle.top + circle.height / 2];
    const corner = Math.max(...groups.flatMap((it) => [[it.left, it.top], [it.right, it.top], [it.left, it.bottom], [it.right, it.bottom]])
      .map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])));
    return {
      codes: shown(".digits").length,
      rings: shown(".ring").length,
      inside: inside(circle) && groups.every(inside) && shown("button").every((it) => inside(box(it))),
      within: corner < circle.width / 2,
      buttons: shown("button").length,
      digitHeight: groups[0].height,
      scrolls: document.documentElement.scrollHeight > height || document.documentElement.scrollWidth > width || document.querySelector("#app").scrollHeight > height,
    };
  }, sizes);
  const check = async (buttons) => {
    for (const [width, height] of WATCHES) {
      await page.setViewportSize({ width, height });
      const it = await fits([width, height]);
      const where = `${width} x ${height}`;
      assert.deepEqual([it.codes, it.rings, it.buttons], [1, 1, buttons], where);
      assert.ok(it.inside && it.within, `${where}: something is cut off or crosses the ring`);
      assert.ok(it.digitHeight >= 30, `${where}: digits of ${it.digitHeight} px`);
      assert.equal(it.scrolls, false, `${where} scrolls`);
      await look(page, `watch-${width}-${buttons}`);
    }
    await page.setViewportSize(PHONE);
  };
  await check(1);
  await press(page, "Add a token");
  await press(page, "Set up without a code");
  await page.locator(".code").nth(1).waitFor();
  const second = await shownId(page, 1);
  await check(2);
  await page.setViewportSize({ width: 198, height: 242 });
  await assertRightCode(page, first, 0);
  await page.getByRole("button", { name: "Token 1. Next token" }).click();
  assert.deepEqual(await page.locator(".digits").evaluateAll((all) => all.map((it) => it.checkVisibility())), [false, true]);
  await assertRightCode(page, second, 1);
  await press(page, "Token 2. Next token");
  assert.deepEqual(await page.locator(".digits").evaluateAll((all) => all.map((it) => it.checkVisibility())), [true, false]);
  await context.close();
});

test("at 200 % zoom and with forced colors nothing is lost", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await page.setViewportSize({ width: 195, height: 422 });
  await look(page, "zoom");
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ forcedColors: "active" });
  await look(page, "forced-colors");
  const widths = await page.locator(".ring-arc, .ring-track").evaluateAll((all) => all.map((it) => getComputedStyle(it).stroke));
  assert.notEqual(widths[0], widths[1], "the arc differs from its track");
  await context.close();
});

test("by keyboard alone, from the unlock screen to a copied code", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await press(page, "Lock");
  await heading(page, "Unlock");
  await page.keyboard.type(PIN);
  await page.keyboard.press("Enter");
  await page.locator(".code").waitFor();
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.classList.contains("code"))) break;
  }
  assert.ok(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none"), "the focus is visible");
  await page.keyboard.press("Enter");
  await page.getByText("Passcode copied").waitFor();
  await context.close();
});
