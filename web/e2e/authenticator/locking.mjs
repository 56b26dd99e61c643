// The lock of the app: PIN, passkey, and a minute out of sight.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRightCode, enroll, enrolls, heading, look, open, person, PIN, press, shownId, unlock } from "./support.mjs";

test("wrong PINs are counted over restarts, the tenth removes everything and says what was lost", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await page.reload();
  await heading(page, "Unlock");
  await look(page, "unlock");
  await unlock(page, "111111");
  await page.getByText("Incorrect PIN. Attempts left: 9.").waitFor();
  await look(page, "unlock-wrong");
  await page.reload();
  await page.getByText("Incorrect PIN. Attempts left: 9.").waitFor();
  for (let left = 8; left > 1; left -= 1) {
    await unlock(page, "111111");
    await page.getByText(`Incorrect PIN. Attempts left: ${left}.`).waitFor();
  }
  await unlock(page, "111111");
  await page.getByText("Incorrect PIN. One attempt left before the tokens are removed from this phone.").waitFor();
  await unlock(page, "111111");
  await page.getByRole("heading", { name: "The tokens were removed" }).waitFor();
  await look(page, "wiped");
  await page.reload();
  await page.getByRole("heading", { name: "The tokens were removed" }).waitFor();
  await context.close();
});

test("a right PIN sets the count back", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  await press(page, "Lock");
  await unlock(page, "111111");
  await page.getByText("Incorrect PIN. Attempts left: 9.").waitFor();
  await unlock(page);
  await page.locator(".code").waitFor();
  await assertRightCode(page, id);
  await press(page, "Lock");
  await heading(page, "Unlock");
  assert.equal(await page.getByText(/Attempts left/).count(), 0);
  await context.close();
});

test("a passkey locks and unlocks", enrolls, async () => {
  const { page, context } = await person({ passkey: true });
  await open(page);
  await press(page, "Set up");
  await heading(page, "How do you want to unlock?");
  await look(page, "lock");
  await press(page, "Use face, fingerprint or screen lock");
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  const id = await shownId(page);
  await page.reload();
  await heading(page, "Unlock");
  await look(page, "unlock-passkey");
  await press(page, "Unlock with your passkey");
  await page.locator(".code").waitFor();
  await assertRightCode(page, id);

  await context.close();
});

test("a device whose passkeys give no key falls back to a PIN, and says so", async () => {
  const { page, context } = await person({ passkey: { hasPrf: false } });
  await open(page);
  await press(page, "Set up");
  await press(page, "Use face, fingerprint or screen lock");
  await heading(page, "Choose a PIN");
  await page.getByText("Passkeys on this phone can't lock this app. Use a PIN.").waitFor();
  await look(page, "passkey-unable");
  await context.close();
});

test("a person whom the passkey does not know stays out", enrolls, async () => {
  const { page, context, cdp, authenticatorId } = await person({ passkey: true });
  await open(page);
  await press(page, "Set up");
  await press(page, "Use face, fingerprint or screen lock");
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  await press(page, "Lock");
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await press(page, "Unlock with your passkey");
  await page.getByText("The passkey was not confirmed. Try again.").waitFor();
  await look(page, "unlock-refused");
  assert.equal(await page.locator(".code").count(), 0);
  await context.close();
});

test("the keys are dropped after a minute out of sight, and not before", enrolls, async () => {
  const { page, context } = await person();
  // Neither of the two is in the app: the clock is Playwright's, and a tab without a window is never hidden.
  await page.clock.install();
  await page.addInitScript(() => {
    let hidden = false;
    Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
    globalThis.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
  });
  await enroll(page);
  await page.evaluate(() => globalThis.hide(true));
  await page.clock.fastForward(59_000);
  await page.evaluate(() => globalThis.hide(false));
  assert.equal(await page.locator(".code").count(), 1);
  await page.evaluate(() => globalThis.hide(true));
  await page.clock.fastForward(60_100);
  await heading(page, "Unlock");
  assert.equal(await page.locator(".digits").count(), 0, "no code is left on the page");
  await page.evaluate(() => globalThis.hide(false));
  await heading(page, "Unlock");
  await context.close();
});
