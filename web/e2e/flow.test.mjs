// The walk of the help article, from a patient's chart to a new token that logs in, and the turns
// that people take instead. One demo server for all of it; the tests run in this order.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { handiest, inspect, launchBrowser, newPerson, shot, startDemo } from "./support.mjs";

let demo;
let browser;
/** Active tokens of the demo's prescriber, as the tests know them. */
const tokens = [];
/** Cookies of a person who has logged in, for the tests whose login is not what they test. */
let session;
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
  "passcode-used", "passcode-locked", "disable", "disable-last", "test", "history", "no-token",
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
async function provePasscode(page, token = handiest(active())) {
  await heading(page, "Enter a passcode").waitFor();
  if (await field(page, "Token").count()) await choose(field(page, "Token"), /^Any of my tokens/);
  await field(page, "Passcode").fill(await token.fresh());
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Where the last code is some time ago (a slow machine), a change asks for another one. */
async function confirmIfAsked(page) {
  if (!(await page.locator("#stepup_passcode").count())) return;
  await page.locator("#stepup_passcode").fill(await handiest(active()).fresh());
}

async function signOut(page) {
  await page.locator(".who").getByRole("button", { name: "Sign out" }).click();
  await heading(page, "You are signed out").waitFor();
}

/** The tokens that are active and not locked. */
const active = () => tokens.filter((token) => !token.off);
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
  assert.match(await fieldError(page, "passcode"), /already used.* wait for the next code/);
  await page.getByText(/The next code comes in \d+ seconds?\.|shows a new code now/).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "passcode", "the code can't be typed at once");
  await look(page, "passcode-used");

  // The next one logs in: the new token works.
  await choose(field(page, "Token"), new RegExp(`^${phone.name}`));
  await field(page, "Passcode").fill(await phone.fresh());
  await page.getByRole("button", { name: "Log in" }).click();
  await heading(page, "Prescriber Dashboard").waitFor();
  await page.getByRole("link", { name: "Manage Tokens" }).click();
  assert.doesNotMatch(await tokenRow(page, phone.name).innerText(), /Not yet/);
  await look(page, "tokens-used");
  session = await context.cookies(demo.origin);

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
  assert.match(await fieldError(page, "credential_id"), /already on your list/);

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
  assert.doesNotMatch(await page.locator("time").first().innerText(), /UTC/, "not the reader's own time");
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
  await page.getByText("The token is disabled.").waitFor();
  await hasStatus(page, phone.name, /^Disabled$/);
  phone.off = true;
  await look(page, "tokens-disabled");

  // Back on, with a code of that very token.
  await openToken(page, phone.name);
  await page.getByRole("link", { name: "Enable" }).click();
  await heading(page, "Enable this token").waitFor();
  await look(page, "enable");
  await field(page, "Passcode of this token").fill(await phone.fresh());
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("The token is active again.").waitFor();
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
  assert.match(await tokenRow(page, laptop.name).innerText(), /Symantec[\s\S]*UTC/);
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
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator(".notice-warning:not([hidden]), #passcode-error").first().waitFor();
  }
  tablet.off = true;
  await page.getByText("Your other tokens work as usual.").waitFor();
  await look(page, "passcode-locked");
  const left = page.locator(".left");
  const before = parseInt(await left.locator(".count").innerText(), 10);
  assert.ok(before > 0 && before <= 30, `${before} seconds`);
  await page.clock.runFor(5_000);
  assert.ok(parseInt(await left.locator(".count").innerText(), 10) < before, "the countdown stands still");
  await page.clock.runFor(30_000);
  await page.getByText("The lock is over. You can try again.").waitFor();

  assert.deepEqual(complaints, []);
  await context.close();
});

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
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");

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

test("no page that was shown has a serious accessibility finding", () => {
  assert.deepEqual(findings, []);
});
