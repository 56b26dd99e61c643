// Tokens: renamed, tested, disabled, the limit, locks; without JavaScript; and the end of a session.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { newPerson } from "../support.mjs";
import { browser, choose, confirmIfAsked, demo, field, fieldError, hasStatus, heading, look, openToken, provePasscode, provePassphrase, session, signOut, tokenRow, tokens } from "./support.mjs";

test("a token is renamed, tested, disabled for a while and enabled again", async () => {
  const { context, page, complaints } = await newPerson(browser, { cookies: session });
  const phone = tokens[1];

  // A test costs no try; a right code is used up by it.
  await page.goto(`${demo.origin}/portal/tokens`);
  await page.getByRole("link", { name: "Test Demo phone" }).click();
  await heading(page, "Test Demo phone").waitFor();
  await field(page, "Passcode").fill("000000");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator(".notice-warning").getByRole("link", { name: "Resync" }).waitFor();
  await field(page, "Passcode").fill(await demo.firstToken.fresh());
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator(".notice-success").waitFor();
  await look(page, "test");

  await openToken(page, phone.name);
  assert.doesNotMatch(await page.locator("time").first().innerText(), /UTC/, "not the practice's time");
  await look(page, "token");
  await field(page, "Token Name").fill("Travel phone");
  await confirmIfAsked(page);
  await page.getByRole("button", { name: "Save name" }).click();
  await heading(page, "Travel phone").waitFor();
  phone.name = "Travel phone";

  await page.getByRole("link", { name: "Resync" }).click();
  await heading(page, "Resync a token").waitFor();
  await look(page, "resync");

  // Disabled without a reason: nothing happens. With one that is reversible: it can come back.
  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Disable", exact: true }).click();
  await heading(page, `Disable ${phone.name}`).waitFor();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.locator("#reason-error").waitFor();
  await page.goBack();
  await page.getByRole("radio", { name: /^temporar/i }).check();
  await look(page, "disable");
  await confirmIfAsked(page);
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByText("Token disabled.").waitFor();
  await hasStatus(page, phone.name, /^Disabled$/);
  phone.off = true;
  await look(page, "tokens-disabled");

  // Back on, with a code of that very token.
  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Enable" }).click();
  await heading(page, "Enable this token").waitFor();
  await look(page, "enable");
  await field(page, "Passcode from this token").fill(await phone.fresh());
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("Token enabled.").waitFor();
  await page.getByText("3 of 5 active").waitFor();
  phone.off = false;

  await page.getByRole("link", { name: "History of all tokens" }).click();
  await heading(page, "History of all tokens").waitFor();
  await look(page, "history");

  assert.deepEqual(complaints, []);
  await context.close();
});

test("the same way works without JavaScript", async () => {
  const { context, page, complaints } = await newPerson(browser, { javaScript: false });
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: "e-Prescribing" }).click();
  await page.waitForURL(`${demo.origin}/e-prescribing`);
  await page.locator("summary").filter({ hasText: "Menu" }).click();
  await page.getByRole("navigation", { name: "Main menu" }).getByRole("link", { name: "Token Management" }).click();
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await page.getByRole("button", { name: "Next" }).click();
  await provePasscode(page);
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.getByRole("link", { name: "Manage Tokens" }).click();
  await page.getByRole("link", { name: "Add New Token" }).click();

  // Manufacturer and type are left to the ID; they are found after sending.
  const section = page.getByRole("region", { name: "Add Two Factor Authentication Token" });
  const laptop = await demo.newToken("Home laptop", "symantec");
  await field(section, "Token Name").fill(laptop.name);
  await field(section, "Serial Number / Credential ID").fill(laptop.id.toLowerCase());
  await field(section, "OTP").fill("12 34");
  await section.getByRole("button", { name: "Save" }).click();
  assert.ok(await fieldError(page, "otp"), "no message beside the OTP");
  assert.equal(await field(section, "Serial Number / Credential ID").inputValue(), laptop.id.toLowerCase());
  await section.getByText("From the ID: Symantec, OTP SOFT TOKEN.").waitFor();
  await field(section, "OTP").fill(await laptop.fresh());
  await section.getByRole("button", { name: "Save" }).click();
  await hasStatus(page, laptop.name, /^Active$/);
  assert.match(await tokenRow(page, laptop.name).innerText(), /Symantec[\s\S]*[A-Z]{2}T/);
  tokens.push(laptop);
  await signOut(page);

  assert.deepEqual(complaints, []);
  await context.close();
});

test("the end of a session is announced and leaves no secret on the screen", async () => {
  const { context, page, complaints } = await newPerson(browser, { cookies: session });
  await page.clock.install();
  await page.goto(`${demo.origin}/portal/tokens/new`);
  await field(page, "Token Name").fill("Kept");
  await field(page, "OTP").fill("123456");
  await page.clock.runFor(14 * 60_000);
  const warning = page.locator("[data-session]");
  await warning.getByText("You will be signed out soon.").waitFor();
  assert.equal(await field(page, "OTP").inputValue(), "123456");
  await page.clock.runFor(2 * 60_000);
  await warning.getByText("Your session has ended.").waitFor();
  assert.equal(await field(page, "OTP").inputValue(), "");
  assert.equal(await field(page, "Token Name").inputValue(), "Kept");

  assert.deepEqual(complaints, []);
  await context.close();
});

test("five active tokens are the limit", async () => {
  const { context, page, complaints } = await newPerson(browser, { cookies: session });
  for (let count = tokens.length; count < 5; count += 1) {
    await page.goto(`${demo.origin}/portal/tokens/new`);
    const token = await demo.newToken(`Token ${count + 1}`);
    await field(page, "Token Name").fill(token.name);
    await field(page, "Serial Number / Credential ID").fill(token.id);
    await field(page, "OTP").fill(await token.fresh());
    await confirmIfAsked(page);
    await page.getByRole("button", { name: "Save" }).click();
    await hasStatus(page, token.name, /^Active$/);
    tokens.push(token);
  }
  await page.getByText("5 of 5 active").waitFor();
  await page.getByText("Limit reached.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Add New Token" }).count(), 0);
  await look(page, "limit");
  await page.goto(`${demo.origin}/portal/tokens/new`);
  assert.equal(await page.getByRole("button", { name: "Save" }).count(), 0);

  assert.deepEqual(complaints, []);
  await context.close();
});

test("a lock counts down and leaves the other tokens alone", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await page.clock.install();
  await provePassphrase(page);
  const tablet = tokens[2];
  for (let attempt = 0; !(await page.getByText(/is locked until/).count()); attempt += 1) {
    assert.ok(attempt < 10, "wrong codes without end");
    await choose(field(page, "Token"), new RegExp(`^${tablet.name}`));
    await field(page, "Passcode").fill(String(attempt).padStart(6, "0"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator(".notice-warning:not([hidden]), #passcode-error").first().waitFor();
  }
  tablet.off = true;
  await page.getByText("Your other tokens still work.").waitFor();
  await look(page, "passcode-locked");
  const left = page.locator(".left");
  const before = parseInt(await left.locator(".count").innerText(), 10);
  assert.ok(before > 0 && before <= 30, `${before} seconds`);
  await page.clock.runFor(5_000);
  assert.ok(parseInt(await left.locator(".count").innerText(), 10) < before, "the countdown stands still");
  await page.clock.runFor(30_000);
  await page.getByText("The lockout is over. You can try again.").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});
