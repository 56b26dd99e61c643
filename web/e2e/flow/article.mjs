// The help article from the chart to a new token, and the wrong turns on its way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newPerson } from "../support.mjs";
import { anotherNpi, browser, choose, confirmIfAsked, demo, field, fieldError, hasStatus, heading, keepSession, look, provePasscode, provePassphrase, session, signOut, tokenRow, tokens } from "./support.mjs";

test("the help article: from the chart to a new token that logs in", async () => {
  const { context, page, complaints } = await newPerson(browser);

  // 1. The chart, and the e-Prescribing tab in it.
  await page.goto(demo.facts.chart_url);
  const patient = await page.getByRole("region", { name: "Patient" }).locator("strong").innerText();
  await look(page, "chart");
  await page.getByRole("link", { name: "e-Prescribing" }).click();
  await page.waitForURL(`${demo.origin}/e-prescribing`);
  await heading(page, "e-Prescribing").waitFor();
  await page.getByRole("region", { name: "Patient" }).getByText(patient).waitFor();
  await look(page, "e-prescribing");

  // 2. to 4. The menu on the top left, Utilities, Token Management.
  const menu = page.locator("summary").filter({ hasText: "Menu" });
  const box = await menu.boundingBox();
  assert.ok(box.x < 100 && box.y < 150, `the menu is not at the top left: ${JSON.stringify(box)}`);
  await menu.click();
  const panel = page.getByRole("navigation", { name: "Main menu" });
  await panel.getByText("Utilities").waitFor();
  await look(page, "menu");
  await panel.getByRole("link", { name: "Token Management" }).click();

  // 5. NPI, filled in by the launch, and passphrase.
  await heading(page, "Sign in to Token Management").waitFor();
  const npi = page.getByLabel(/^NPI/);
  assert.equal(await npi.inputValue(), demo.facts.npi);
  assert.equal(await npi.isEditable(), false);
  await look(page, "login");
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await page.getByRole("button", { name: "Next" }).click();

  // 6. A passcode of the token that is already there.
  await heading(page, "Enter a passcode").waitFor();
  await look(page, "passcode");
  await provePasscode(page, demo.firstToken);
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.getByText("One active token").waitFor();
  await look(page, "dashboard");

  // 7. Both ways to token management.
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Tokens" }).click();
  await heading(page, "Tokens").waitFor();
  await look(page, "tokens-one");
  await page.goBack();
  const manage = page.getByRole("link", { name: "Manage Tokens" });
  const place = await manage.boundingBox();
  const main = await page.locator("main").boundingBox();
  assert.ok(place.x > main.x + main.width / 2, "Manage Tokens is not on the right");
  assert.ok(place.y + place.height > main.y + main.height - 120, "Manage Tokens is not at the bottom");
  await manage.click();
  await heading(page, "Tokens").waitFor();

  // 8. Add New Token opens the section below the button.
  const add = page.getByRole("link", { name: "Add New Token" });
  await add.click();
  const section = page.getByRole("region", { name: "Add Two Factor Authentication Token" });
  await section.waitFor();
  const button = await add.boundingBox();
  assert.ok((await section.boundingBox()).y >= button.y + button.height, "the section is not below the button");

  // 9. and 10. A new soft token, its fields, Save.
  const phone = await demo.newToken("Spare phone");
  await choose(field(section, "Token Manufacturer"), /^Countersign/);
  await choose(field(section, "Token Type"), /SOFT/i);
  await field(section, "Token Name").fill(phone.name);
  await field(section, "Serial Number / Credential ID").fill(phone.id.toLowerCase().replace(/^(....)/, "$1 "));
  await look(page, "add-token");
  const bindingCode = await phone.fresh();
  await field(section, "OTP").fill(bindingCode);
  await section.getByRole("button", { name: "Save" }).click();
  await hasStatus(page, phone.name, /^Active$/);
  assert.match(await tokenRow(page, phone.name).innerText(), /Never/, "a code that added a token is no use of it");
  await page.getByText("2 of 5 active").waitFor();
  await look(page, "tokens");
  tokens.push(phone);

  // The code that added the token is no login code; the page says to wait for the next one.
  await signOut(page);
  await look(page, "signed-out");
  await provePassphrase(page);
  await choose(field(page, "Token"), new RegExp(`^${phone.name}`));
  await field(page, "Passcode").fill(bindingCode);
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await fieldError(page, "passcode"), /already used.* Wait for the next one/);
  await page.getByText(/Next passcode in \d+ seconds?\.|shows a new passcode now/).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "passcode", "the code can't be typed at once");
  await look(page, "passcode-used");

  // The next one logs in: the new token works.
  await choose(field(page, "Token"), new RegExp(`^${phone.name}`));
  await field(page, "Passcode").fill(await phone.fresh());
  await page.getByRole("button", { name: "Sign in" }).click();
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.getByRole("link", { name: "Manage Tokens" }).click();
  assert.doesNotMatch(await tokenRow(page, phone.name).innerText(), /Never/);
  await look(page, "tokens-used");
  keepSession(await context.cookies(demo.origin));

  assert.deepEqual(complaints, []);
  await context.close();
});

test("wrong turns at the login say what to do and tell nobody who has an account", async () => {
  const { context, page, complaints } = await newPerson(browser);

  // The check digit is wrong: the mistake is named beside the field, and the number is kept.
  const mistyped = demo.facts.npi.slice(0, 9) + ((Number(demo.facts.npi[9]) + 1) % 10);
  await provePassphrase(page, mistyped);
  assert.ok(await fieldError(page, "npi"), "no message beside the NPI");
  assert.equal(await field(page, "NPI").inputValue(), mistyped);
  assert.equal(await field(page, "Passphrase").inputValue(), "");
  assert.match(await page.title(), /^Error/);
  await look(page, "login-error");

  // A wrong passphrase and an NPI that nobody has read the same.
  const says = async () => (await page.locator("main").innerText()).replace(/Support code:? \S+/g, "");
  await provePassphrase(page, demo.facts.npi, "not the right passphrase at all");
  const wrongPassphrase = (await says()).replaceAll(demo.facts.npi, "NPI");
  const stranger = anotherNpi();
  await provePassphrase(page, stranger, "not the right passphrase at all");
  const wrongNpi = (await says()).replaceAll(stranger, "NPI");
  assert.equal(wrongNpi, wrongPassphrase);
  assert.equal(await field(page, "NPI").inputValue(), stranger);
  assert.equal(await heading(page, "Sign in to Token Management").count(), 1);

  // Without a passphrase nobody gets further by address.
  for (const path of ["/portal/login/passcode", "/portal/login/lost", "/portal/dashboard", "/portal/tokens", "/portal/history"]) {
    await page.goto(demo.origin + path);
    await heading(page, "Sign in to Token Management").waitFor();
  }

  // With the passphrase proved: nothing typed, letters, and a wrong code.
  await provePassphrase(page);
  for (const typed of ["", "abcdef", "000000"]) {
    await heading(page, "Enter a passcode").waitFor();
    await field(page, "Passcode").fill(typed);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#passcode-error").waitFor();
    assert.equal(await field(page, "Passcode").inputValue(), "", "a passcode came back in the page");
  }
  await look(page, "passcode-wrong");
  await page.getByRole("link", { name: /Resync/ }).click();
  await heading(page, "Resync a token").waitFor();
  await look(page, "login-resync");
  await page.goto(`${demo.origin}/portal/login/lost`);
  await heading(page, "Report a lost token").waitFor();
  await look(page, "login-lost");
  await page.getByRole("link", { name: "Cancel" }).click();
  await heading(page, "Enter a passcode").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});

test("wrong turns in token management keep what was typed, secrets aside", async () => {
  const { context, page, complaints } = await newPerson(browser, { cookies: session });
  await page.goto(`${demo.origin}/portal/tokens/new`);
  const section = page.getByRole("region", { name: "Add Two Factor Authentication Token" });
  const id = field(section, "Serial Number / Credential ID");
  const save = () => section.getByRole("button", { name: "Save" }).click();

  // As it is typed, the ID tells manufacturer and type.
  await id.pressSequentially("vsst 1234");
  await section.getByRole("status").getByText(/Symantec/).waitFor();

  // Nothing filled in: every field says so, and the summary leads to them.
  await id.fill("");
  await save();
  for (const name of ["name", "credential_id", "otp"]) {
    assert.ok(await fieldError(page, name), `no message beside ${name}`);
  }
  await page.getByRole("alert").getByRole("link").first().waitFor();
  await look(page, "add-token-error");

  // An ID of no known kind.
  await field(section, "Token Name").fill("Kept name");
  await id.fill("CNST 12");
  await field(section, "OTP").fill("123456");
  await save();
  assert.ok(await fieldError(page, "credential_id"), "no message beside the ID");
  assert.equal(await field(section, "Token Name").inputValue(), "Kept name");
  assert.equal(await id.inputValue(), "CNST 12");
  assert.equal(await field(section, "OTP").inputValue(), "");

  // A mistyped ID of another maker, then the right one: what the first had filled in goes with it.
  const bound = tokens.find((token) => token.id);
  await id.fill("SYMC 1234");
  await field(section, "OTP").fill("123456");
  await save();
  assert.match(await fieldError(page, "credential_id"), /number of digits/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "credential_id");
  await id.fill(bound.id);
  assert.equal(await field(section, "Token Manufacturer").inputValue(), "countersign");

  // That token is bound already, whatever the code.
  await field(section, "OTP").fill("123456");
  await confirmIfAsked(page);
  await save();
  assert.match(await fieldError(page, "credential_id"), /already in your list/);

  // A Symantec token, its ID as a tired person types it: lower case, in groups, the letter O for 0.
  const tablet = await demo.newToken("Clinic tablet", "symantec");
  await id.fill(tablet.id.toLowerCase().replaceAll("0", "o").replace(/(.{4})(?=.)/g, "$1 - "));
  await field(section, "Token Name").fill(tablet.name);
  await field(section, "OTP").fill(await tablet.fresh());
  await confirmIfAsked(page);
  await save();
  await hasStatus(page, tablet.name, /^Active$/);
  assert.match(await tokenRow(page, tablet.name).innerText(), /Symantec/);
  tokens.push(tablet);
  await page.getByText("3 of 5 active").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});
