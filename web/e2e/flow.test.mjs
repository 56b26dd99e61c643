// The walk of the help article, from a patient's chart to a new token that logs in, and the turns
// that people take instead. One demo server for all of it; the tests run in this order.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { handiest, inspect, launchBrowser, newPerson, shot, startDemo } from "./support.mjs";

let demo;
let browser;
/** Active tokens of the demo's prescriber, as the tests know them. */
const tokens = [];
/** Findings of all pages, so that one run shows them all. */
const findings = [];

before(async () => {
  demo = await startDemo();
  browser = await launchBrowser();
  tokens.push(demo.firstToken);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** The pages that the documentation shows. */
const pictured = new Set([
  "chart", "e-prescribing", "menu", "login", "passcode", "dashboard", "add-token", "tokens", "token",
  "passcode-used", "disable", "disable-last", "test", "history", "no-token",
]);

async function look(page, name) {
  findings.push(...(await inspect(page, name)));
  if (pictured.has(name)) await shot(page, name);
}

const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });
const field = (page, label) => page.getByLabel(label, { exact: true });
/** What a field says is wrong with it; null if it says nothing. */
const fieldError = async (page, id) => {
  const error = page.locator(`#${id}-error`);
  return (await error.count()) ? (await error.innerText()).trim() : null;
};

/** Chooses the option whose words match. */
async function choose(select, words) {
  const labels = await select.locator("option").allInnerTexts();
  const label = labels.find((it) => words.test(it));
  assert.ok(label, `no option like ${words} in: ${labels.join(", ")}`);
  await select.selectOption({ label });
}

/** Step 1, by the portal's own address. */
async function provePassphrase(page, npi = demo.facts.npi, passphrase = demo.facts.passphrase) {
  await page.goto(demo.facts.portal_url);
  // Where the EHR's launch has filled in the NPI, it can't be changed.
  const npiField = page.getByLabel(/^NPI/);
  if (await npiField.isEditable()) await npiField.fill(npi);
  await field(page, "Passphrase").fill(passphrase);
  await page.getByRole("button", { name: "Next" }).click();
}

/** Step 2. The only active token stands there fixed; of several, "any of my tokens" is chosen. */
async function provePasscode(page, token = handiest(tokens)) {
  await heading(page, "Enter a passcode").waitFor();
  if (await field(page, "Token").count()) await choose(field(page, "Token"), /^Any of my tokens/);
  await field(page, "Passcode").fill(await token.fresh());
  await page.getByRole("button", { name: "Log in" }).click();
}

/** A login without an EHR, to the dashboard. */
async function logIn(page, token) {
  await provePassphrase(page);
  await provePasscode(page, token);
  await heading(page, "Prescriber Dashboard").waitFor();
}

async function signOut(page) {
  await page.locator(".who").getByRole("button", { name: "Sign out" }).click();
  await heading(page, "You are signed out").waitFor();
}

const tokenRow = (page, name) => page.getByRole("row").filter({ hasText: name });
const hasStatus = (page, name, status) =>
  tokenRow(page, name).locator(".status").filter({ hasText: status }).waitFor();
const openToken = async (page, name) => {
  await page.goto(`${demo.origin}/portal/tokens`);
  await tokenRow(page, name).getByRole("link", { name, exact: true }).click();
  await heading(page, name).waitFor();
};

/** Another NPI that is well-formed: its last digit is right with the prefix 80840. */
function anotherNpi() {
  for (let body = 987_654_321; ; body -= 1) {
    const digits = `80840${body}`.split("").reverse().map(Number);
    const sum = digits.reduce((all, digit, at) => {
      const value = at % 2 === 0 ? digit * 2 : digit;
      return all + (value > 9 ? value - 9 : value);
    }, 0);
    const npi = `${body}${(10 - (sum % 10)) % 10}`;
    if (npi !== demo.facts.npi) return npi;
  }
}

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
  await heading(page, "Log in to Token Management").waitFor();
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
  assert.match(await tokenRow(page, phone.name).innerText(), /Not yet/, "a code that added a token is no use of it");
  await page.getByText("2 of 5 active").waitFor();
  await look(page, "tokens");
  tokens.push(phone);

  // The code that added the token is no login code; the page says to wait for the next one.
  await signOut(page);
  await look(page, "signed-out");
  await provePassphrase(page);
  await choose(field(page, "Token"), new RegExp(`^${phone.name}`));
  await field(page, "Passcode").fill(bindingCode);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("Wait for the next code").waitFor();
  await look(page, "passcode-used");

  // The next one logs in: the new token works.
  await choose(field(page, "Token"), new RegExp(`^${phone.name}`));
  await field(page, "Passcode").fill(await phone.fresh());
  await page.getByRole("button", { name: "Log in" }).click();
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.getByRole("link", { name: "Manage Tokens" }).click();
  assert.doesNotMatch(await tokenRow(page, phone.name).innerText(), /Not yet/);
  await look(page, "tokens-used");

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
  assert.equal(await heading(page, "Log in to Token Management").count(), 1);

  // Without a passphrase nobody gets further by address.
  for (const path of ["/portal/login/passcode", "/portal/login/lost", "/portal/dashboard", "/portal/tokens", "/portal/history"]) {
    await page.goto(demo.origin + path);
    await heading(page, "Log in to Token Management").waitFor();
  }

  // With the passphrase proved: nothing typed, letters, and a wrong code.
  await provePassphrase(page);
  for (const typed of ["", "abcdef", "000000"]) {
    await heading(page, "Enter a passcode").waitFor();
    await field(page, "Passcode").fill(typed);
    await page.getByRole("button", { name: "Log in" }).click();
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

  // "Any of my tokens" takes the code of whichever it is.
  await provePasscode(page);
  await heading(page, "Prescriber Dashboard").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});

test("wrong turns in token management keep what was typed, secrets aside", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await logIn(page);
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

  // A token that is bound already.
  const bound = tokens.find((token) => token.id);
  await id.fill(bound.id);
  await field(section, "OTP").fill(await bound.fresh());
  await save();
  assert.ok(await fieldError(page, "credential_id"), "a second binding was not refused beside the ID");
  await page.goto(`${demo.origin}/portal/tokens`);
  await page.getByText("2 of 5 active").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});

test("a token is renamed, tested, disabled for a while and enabled again", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await logIn(page, demo.firstToken);
  const phone = tokens[1];

  await openToken(page, phone.name);
  await look(page, "token");
  await field(page, "Token Name").fill("Travel phone");
  await page.getByRole("button", { name: "Save name" }).click();
  await heading(page, "Travel phone").waitFor();
  phone.name = "Travel phone";

  await page.getByRole("link", { name: "Test this token" }).click();
  await field(page, "Passcode").fill(await phone.fresh());
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator(".notice-success").waitFor();
  await look(page, "test");

  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Resync" }).click();
  await heading(page, "Resync a token").waitFor();
  await look(page, "resync");

  // Disabled without a reason: nothing happens. With one that is reversible: it can come back.
  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Disable", exact: true }).click();
  await heading(page, `Disable ${phone.name}`).waitFor();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.locator("#reason-error").waitFor();
  await page.getByRole("radio", { name: /^temporar/i }).check();
  await look(page, "disable");
  await page.getByRole("button", { name: "Disable" }).click();
  await page.goto(`${demo.origin}/portal/tokens`);
  await hasStatus(page, phone.name, /^Disabled$/);
  await look(page, "tokens-disabled");

  // The other one is now the last: it does not go without a written word.
  await page.getByRole("link", { name: /^Disable/ }).click();
  await page.getByText("This is your only active token").waitFor();
  await page.getByRole("radio", { name: /^temporar/i }).check();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.locator("#confirmation-error").waitFor();
  await look(page, "disable-last");
  await page.getByRole("link", { name: "Cancel" }).click();

  // Back on, with a code of that very token.
  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Enable" }).click();
  await heading(page, "Enable this token").waitFor();
  await look(page, "enable");
  await field(page, "Passcode of this token").fill(await phone.fresh());
  await page.getByRole("button", { name: "Enable" }).click();
  await page.goto(`${demo.origin}/portal/tokens`);
  await page.getByText("2 of 5 active").waitFor();

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
  const tablet = await demo.newToken("Clinic tablet");
  await field(section, "Token Name").fill(tablet.name);
  await field(section, "Serial Number / Credential ID").fill(tablet.id);
  await field(section, "OTP").fill(await tablet.fresh());
  await section.getByRole("button", { name: "Save" }).click();
  await hasStatus(page, tablet.name, /^Active$/);
  assert.match(await tokenRow(page, tablet.name).innerText(), /Countersign/);
  tokens.push(tablet);
  await signOut(page);

  assert.deepEqual(complaints, []);
  await context.close();
});

test("the keyboard alone logs in", async () => {
  const { context, page, complaints } = await newPerson(browser);
  await page.goto(demo.facts.portal_url);
  // The field to fill is already the one with the focus.
  await page.keyboard.type(demo.facts.npi);
  await page.keyboard.press("Tab");
  await page.keyboard.type(demo.facts.passphrase);
  await page.keyboard.press("Enter");
  await heading(page, "Enter a passcode").waitFor();
  await page.keyboard.type(await handiest(tokens).fresh());
  await page.keyboard.press("Enter");
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");

  assert.deepEqual(complaints, []);
  await context.close();
});

test("sessions, launches and pages are closed to the wrong hands", async () => {
  const { context, page } = await newPerson(browser);

  // A launch works once.
  const launches = [];
  page.on("request", (request) => {
    if (new URL(request.url()).pathname === "/launch") launches.push(request.url());
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
  await logIn(page);
  const cookies = (await context.cookies(demo.origin)).filter((cookie) => cookie.name.startsWith("__Host-"));
  assert.ok(cookies.length > 0, "no __Host- cookie");
  for (const cookie of cookies) {
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "Strict", JSON.stringify(cookie));
  }
  await signOut(page);
  const copy = await newPerson(browser);
  await copy.context.addCookies(cookies);
  await copy.page.goto(`${demo.origin}/portal/tokens`);
  await heading(copy.page, "Log in to Token Management").waitFor();
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

test("without an active token the page leads to help", async () => {
  // Reported lost one after the other; the passphrase alone is enough for that.
  for (let left = tokens.length; left > 0; left -= 1) {
    const { context, page } = await newPerson(browser);
    await provePassphrase(page);
    await page.getByRole("link", { name: /Lost your phone/ }).click();
    await heading(page, "Report a lost token").waitFor();
    await page.getByRole("radio", { name: /^Lost/ }).check();
    if (left === 1) await field(page, "Type DISABLE to confirm").fill("DISABLE");
    await page.getByRole("button", { name: "Disable this token" }).click();
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

test("no page that was shown has a serious accessibility finding", () => {
  assert.deepEqual(findings, []);
});
