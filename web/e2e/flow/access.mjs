// Who gets in: the wrong hands, a nurse, the keyboard alone, somebody without an active token.
import assert from "node:assert/strict";
import { test } from "node:test";
import { handiest, newPerson } from "../support.mjs";
import { active, browser, demo, field, heading, look, provePasscode, provePassphrase, session, signOut, tokens } from "./support.mjs";

// Shows: N-26
test("sessions, launches and pages are closed to the wrong hands", async () => {
  const { context, page } = await newPerson(browser);
  assert.ok(session, "no test has logged in");

  // A launch works once.
  const launches = [];
  page.on("request", (request) => {
    if (new URL(request.url()).pathname === "/smart/callback") launches.push(request.url());
  });
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: "e-Prescribing" }).click();
  await page.waitForURL(`${demo.origin}/e-prescribing`);
  assert.equal(launches.length, 1);
  const thief = await newPerson(browser);
  const replay = await thief.page.goto(launches[0]);
  assert.ok(replay.status() >= 400, `a used launch was answered with ${replay.status()}`);
  await look(thief.page, "launch-used");
  const home = await thief.page.goto(`${demo.origin}/e-prescribing`);
  assert.ok(home.status() >= 400 || !thief.page.url().endsWith("/e-prescribing"), "open without a launch");

  // The policy on every page: nothing from elsewhere, nothing inline, in no frame.
  const policy = home.headers()["content-security-policy"];
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(part), `${part} is missing in: ${policy}`);
  }
  assert.ok(!policy.includes("unsafe"), policy);
  const lost = await thief.page.goto(`${demo.origin}/no-such-page`);
  assert.equal(lost.status(), 404);
  await look(thief.page, "not-found");
  await thief.context.close();

  // The cookie, and the end of the session on the server.
  await context.clearCookies();
  await context.addCookies(session);
  await page.goto(`${demo.origin}/portal/tokens`);
  await heading(page, "Tokens").waitFor();
  const cookies = (await context.cookies(demo.origin)).filter((cookie) => cookie.name.startsWith("__Host-"));
  assert.ok(cookies.length > 0, "no __Host- cookie");
  for (const cookie of cookies) {
    // What a launch ends the session by comes with links of other sites, and opens nothing.
    const sameSite = cookie.name === "__Host-countersign-open" ? "Lax" : "Strict";
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === sameSite, JSON.stringify(cookie));
  }
  await signOut(page);
  const copy = await newPerson(browser);
  await copy.context.addCookies(cookies);
  await copy.page.goto(`${demo.origin}/portal/tokens`);
  await heading(copy.page, "Sign in to Token Management").waitFor();
  await copy.context.close();
  await context.close();
});

test("a nurse is told that token management is for prescribers", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: /^Switch to/ }).click();
  await page.goto(demo.ehr);
  await heading(page, "Patients").waitFor();
  await look(page, "patients");
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: "e-Prescribing" }).click();
  await page.waitForURL(`${demo.origin}/e-prescribing`);
  await page.getByText("Token Management is for prescribers").waitFor();
  await page.locator("summary").filter({ hasText: "Menu" }).click();
  assert.equal(await page.getByRole("link", { name: "Token Management" }).count(), 0);
  await look(page, "e-prescribing-staff");

  assert.deepEqual(complaints, []);
  await context.close();
});

test("the keyboard alone logs in", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await page.goto(demo.facts.portal_url);
  // The field to fill is already the one with the focus.
  await page.locator("#npi:focus").waitFor();
  await page.keyboard.type(demo.facts.npi);
  await page.keyboard.press("Tab");
  await page.keyboard.type(demo.facts.passphrase);
  await page.keyboard.press("Enter");
  await heading(page, "Enter a passcode").waitFor();
  const digits = await handiest(active()).fresh();
  await page.locator("#passcode:focus").waitFor();
  await page.keyboard.type(digits);
  await page.keyboard.press("Enter");
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to main content");

  assert.deepEqual(complaints, []);
  await context.close();
});

/** In token management, the last active token does not go without a written word. */
async function keepsTheLast(page) {
  await provePassphrase(page);
  await provePasscode(page, tokens.at(-1));
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.goto(`${demo.origin}/portal/tokens`);
  await page.getByRole("link", { name: /^Disable/ }).click();
  await page.getByText("This is your only active token").waitFor();
  await page.getByRole("radio", { name: /^Damaged/ }).check();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.locator("#confirmation-error").waitFor();
  await look(page, "disable-last");
  await page.getByRole("link", { name: "Cancel" }).click();
  await signOut(page);
}

test("without an active token the page leads to help", async () => {
  // Reported lost one after the other; the passphrase alone is enough for that.
  for (let left = tokens.length; left > 0; left -= 1) {
    const { context, page } = await newPerson(browser);
    if (left === 1) await keepsTheLast(page);
    await provePassphrase(page);
    await page.getByRole("link", { name: /^Lost your/ }).click();
    await heading(page, "Report a lost token").waitFor();
    await page.getByRole("radio", { name: /^Lost/ }).check();
    const disable = page.getByRole("button", { name: "Disable this token" });
    if (left > 1) {
      // Nothing is chosen beforehand: the wrong token would be gone for good.
      await disable.click();
      await page.locator("#token-error").waitFor();
      await field(page, "Token").selectOption({ index: 1 });
    } else {
      // The last one: the page says what follows, and one button is enough.
      await page.getByText("It is your only token").waitFor();
      await look(page, "login-lost-last");
    }
    await disable.click();
    await page.waitForURL((url) => !url.pathname.endsWith("/lost"));
    await context.close();
  }
  const { context, page, complaints } = await newPerson(browser);
  await provePassphrase(page);
  await heading(page, "You have no active token").waitFor();
  assert.ok(await page.locator("main address").count(), "nobody to ask is named");
  await look(page, "no-token");

  assert.deepEqual(complaints, []);
  await context.close();
});
