// A phone is paired by the picture on the portal, the page goes on by itself, and the new token logs
// in; then the pages of a new phone and of a lost one, each as its readers get it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PhoneToken, inspect, launchBrowser, newPerson, newPhone, readQr, shot, shotAt, startDemo } from "./support.mjs";

const PIN = "482915";
const demo = await startDemo();
const findings = [];
let browser;
let portal;
/** What the phone shows as its ID. */
let paired;

before(async () => { browser = await launchBrowser(); });
after(async () => {
  await browser?.close();
  await demo.stop();
});

const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });
const field = (page, label) => page.getByLabel(label, { exact: true });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const follow = (page, name) => page.getByRole("link", { name, exact: true }).click();

async function look(page, name, picture = false) {
  findings.push(...(await inspect(page, name)));
  if (picture) await shot(page, name);
}

async function logIn(page, token) {
  await page.goto(demo.facts.portal_url);
  await page.getByLabel(/^NPI/).fill(demo.facts.npi);
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await press(page, "Next");
  await heading(page, "Enter a passcode").waitFor();
  await field(page, "Passcode").fill(await token.fresh());
  await press(page, "Sign in");
  await heading(page, "Prescriber Dashboard").waitFor();
}

let app;

test("a phone is paired by the picture, and its token added", async () => {
  portal = await newPerson(browser);
  const { page, complaints } = portal;
  await logIn(page, demo.firstToken);
  await page.goto(`${demo.origin}/portal/tokens/new`);
  await press(page, "Show pairing code");
  await heading(page, "Pair a phone").waitFor();
  await look(page, "pairing", true);
  const address = await readQr(page.locator("img.qr"));
  const typed = (await page.locator(".pairing-code").innerText()).replace(/\s/g, "");
  assert.equal(address, `${demo.origin}/authenticator/#pair=${typed}`, "the picture and the text are one code");

  const device = await newPhone(browser, findings);
  app = device.page;
  await app.goto(address);
  await press(app, "Set up");
  await field(app, "PIN").fill(PIN);
  await field(app, "Confirm PIN").fill(PIN);
  await press(app, "Save");
  await press(app, "Connect");
  await app.locator(".code").waitFor();
  await app.getByText("Enter the passcode below on the page that showed the QR code.").waitFor();
  paired = (await app.locator(".token .id").first().innerText()).replaceAll(" ", "");

  await shotAt(app, "authenticator-phone", { width: 390, height: 780 });
  await app.emulateMedia({ colorScheme: "dark" });
  await shotAt(app, "authenticator-phone-dark", { width: 390, height: 780 });
  await app.emulateMedia({ colorScheme: "light" });
  await shotAt(app, "authenticator-watch", { width: 198, height: 242 });

  // The portal has gone on by itself.
  await page.getByText("Phone paired.").waitFor();
  await heading(page, "Tokens").waitFor();
  assert.equal(await page.locator("#credential_id").inputValue(), paired);
  await look(page, "paired");
  // A wrong code first: what was typed stays, and nothing is added.
  await field(page, "Token Name").fill("New phone");
  await page.locator("#otp").fill("000000");
  await press(page, "Save");
  await page.locator("#otp-error").waitFor();
  assert.equal(await field(page, "Token Name").inputValue(), "New phone");
  const token = new PhoneToken(app);
  await page.locator("#otp").fill(await token.fresh());
  if (await page.locator("#stepup_passcode").count()) {
    await page.locator("#stepup_passcode").fill(await demo.firstToken.fresh());
  }
  await press(page, "Save");
  await page.getByText("Token added. You can sign in with it now. To sign prescriptions, activate it in the list below.").waitFor();
  assert.deepEqual(complaints, []);

  // The code that added it is no log-in; the next one is.
  const again = await newPerson(browser);
  await again.page.goto(demo.facts.portal_url);
  await again.page.getByLabel(/^NPI/).fill(demo.facts.npi);
  await field(again.page, "Passphrase").fill(demo.facts.passphrase);
  await press(again.page, "Next");
  await heading(again.page, "Enter a passcode").waitFor();
  const choice = field(again.page, "Token");
  const label = (await choice.locator("option").allInnerTexts()).find((it) => it.includes("New phone"));
  await choice.selectOption({ label });
  await field(again.page, "Passcode").fill(await token.fresh());
  await press(again.page, "Sign in");
  await heading(again.page, "Prescriber Dashboard").waitFor();
  await again.page.goto(`${demo.origin}/portal/tokens`);
  await follow(again.page, "New phone");
  await again.page.getByText("Phone, detected by the app").waitFor();
  await look(again.page, "token-of-phone");
  await again.context.close();
});

test("a pairing code works once, and says so", async () => {
  const { page } = portal;
  await page.goto(`${demo.origin}/portal/tokens/new`);
  await press(page, "Show pairing code");
  const typed = (await page.locator(".pairing-code").innerText()).replace(/\s/g, "");
  for (const works of [true, false]) {
    await app.goto(`${demo.origin}/authenticator/`);
    await field(app, "PIN").fill(PIN);
    await press(app, "Unlock");
    await app.getByRole("button", { name: "Add a token", exact: true }).click();
    await app.getByLabel("Or enter the pairing code").fill(typed);
    await press(app, "Connect");
    if (works) await app.locator(".code").nth(1).waitFor();
    else await app.getByText(/This pairing code is not valid/).waitFor();
  }
});

test("a new phone, and a lost one: each page", async () => {
  const { page } = portal;
  await page.goto(`${demo.origin}/portal/phone`);
  await look(page, "new-phone", true);
  await press(page, "Continue");
  await page.locator("#intent-error").waitFor();
  await look(page, "new-phone-wrong");
  await page.getByText("I'm getting a new phone").click();
  await press(page, "Continue");
  await heading(page, "Before the new phone arrives").waitFor();
  await look(page, "new-phone-getting");
  const begin = async (intent) => {
    await page.goto(`${demo.origin}/portal/phone`);
    await page.getByText(intent).click();
    const choice = field(page, "Token on the old phone");
    const label = (await choice.locator("option").allInnerTexts()).find((it) => it.includes("New phone"));
    await choice.selectOption({ label });
    await press(page, "Continue");
  };
  await begin("I have both phones");
  await page.getByText("It replaces").waitFor();
  await look(page, "replace");
  // Lost: the old one ends by itself, whatever becomes of the new one.
  await begin("I no longer have the old one");
  await heading(page, "Report New phone lost?").waitFor();
  await look(page, "report-lost", true);
  await press(page, "Report it lost");
  await page.getByText("Token disabled. Its passcodes no longer work. Your permission to sign is suspended for all your tokens until two people at your practice approve it again. Now add the new token, and confirm with a token that you still have.").waitFor();
  await look(page, "lost-add");
  await page.goto(`${demo.origin}/portal/tokens`);
  assert.equal(await page.getByRole("link", { name: "New phone", exact: true }).count(), 0);

  // Only one is left: that it is lost leads to identity proofing.
  await page.goto(`${demo.origin}/portal/phone`);
  await page.getByText("I no longer have the old one").click();
  await press(page, "Continue");
  await page.getByText("is your only active token").waitFor();
  await look(page, "new-phone-none");
});

test("the passphrase is changed with the old one and a passcode", async () => {
  const { page } = portal;
  const chosen = "copper meadow violin harbor";
  await page.goto(`${demo.origin}/portal/dashboard`);
  await follow(page, "Change passphrase");
  await heading(page, "Change passphrase").waitFor();
  await look(page, "passphrase", true);
  const fill = async (current, code) => {
    await field(page, "Current passphrase").fill(current);
    await field(page, "New passphrase").fill(chosen);
    await field(page, "Confirm new passphrase").fill(chosen);
    await page.locator("#stepup_passcode").fill(code);
    await press(page, "Change passphrase");
  };
  await fill("not the one that it is", "000000");
  await page.locator("#current-error", { hasText: "Incorrect passphrase" }).waitFor();
  await look(page, "passphrase-wrong");
  await fill(demo.facts.passphrase, await demo.firstToken.fresh());
  await page.getByText("Passphrase changed.").waitFor();
  const again = await newPerson(browser);
  await again.page.goto(demo.facts.portal_url);
  await again.page.getByLabel(/^NPI/).fill(demo.facts.npi);
  await field(again.page, "Passphrase").fill(chosen);
  await press(again.page, "Next");
  await heading(again.page, "Enter a passcode").waitFor();
  await again.context.close();
});

test("no page complained", () => {
  assert.deepEqual(findings, []);
});
