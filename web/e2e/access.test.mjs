// The worst day, by hand: a phone is lost and reported, two people in two browsers look at it, and the
// permission to sign comes back for the token that is left.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Token, inspect, launchBrowser, newPerson, shot, startDemo } from "./support.mjs";

const demo = await startDemo();
const findings = [];
const [ruth, ben] = demo.facts.others.map((it) => ({ ...it, token: new Token(it.token_command) }));
let browser;
let ada;
let second;

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

async function logIn({ sign_in: name, passphrase, token }) {
  const person = await newPerson(browser);
  const { page } = person;
  await page.goto(demo.facts.portal_url);
  await page.getByLabel(/^NPI/).fill(name);
  await field(page, "Passphrase").fill(passphrase);
  await press(page, "Next");
  await heading(page, "Enter a passcode").waitFor();
  await field(page, "Passcode").fill(await token.fresh());
  await press(page, "Sign in");
  await page.getByText("Active tokens").waitFor();
  return person;
}

/** The messages of the demonstration, as its mailbox shows them. */
async function mailbox() {
  const response = await fetch(demo.facts.mailbox_url);
  return response.text();
}

async function waitForMail(pattern) {
  for (let tries = 0; tries < 40; tries += 1) {
    const found = (await mailbox()).match(pattern);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`no message like ${pattern} in: ${(await mailbox()).slice(0, 2000)}`);
}

test("a second token signs after a code that came another way", async () => {
  ada = await logIn({ sign_in: demo.facts.npi, passphrase: demo.facts.passphrase, token: demo.firstToken });
  const { page } = ada;
  second = await demo.newToken("Second phone");
  await page.goto(`${demo.origin}/portal/tokens/new`);
  await field(page, "Token Name").fill("Second phone");
  await page.locator("#credential_id").fill(second.id);
  await page.locator("#otp").fill(await second.fresh());
  await press(page, "Save");
  await page.getByText("Token added. You can sign in with it now. To sign prescriptions, activate it in the list below.").waitFor();
  await follow(page, "Second phone");
  await follow(page, "Activate for signing");
  await heading(page, "Activate for signing").waitFor();
  await look(page, "activate", true);
  await press(page, "Send code");
  const [, code] = await waitForMail(/code for Lakeside Clinic: (\w{4} \w{4})/);
  await field(page, "Activation code").fill("AAAA AAAA");
  await press(page, "Activate");
  await page.locator("#code-error").waitFor();
  await look(page, "activate-wrong");
  await field(page, "Activation code").fill(code);
  await press(page, "Activate");
  await page.getByText("Token activated for signing.").waitFor();
  await waitForMail(/was activated for signing/);
});

test("the first phone is lost: one report stops it, and tells those who must know", async () => {
  const { page } = ada;
  await page.goto(`${demo.origin}/portal/tokens`);
  await follow(page, "Demo phone");
  await follow(page, "Disable");
  await page.getByText("You don't know where it is.").click();
  await press(page, "Disable");
  await page.getByText("Token disabled. Its passcodes no longer work. Your permission to sign is suspended for all your tokens until two people at your practice approve it again.").waitFor();
  await waitForMail(/reported a token lost, stolen or compromised/);
});

test("two people bring the permission back, each in their own browser", async () => {
  const office = await logIn(ruth);
  await heading(office.page, "Your account").waitFor();
  await look(office.page, "your-account");
  await follow(office.page, "Lakeside Clinic: practice administration");
  await heading(office.page, "Lakeside Clinic").waitFor();
  await office.page.getByText("Review a reported loss").waitFor();
  await look(office.page, "console", true);
  await follow(office.page, "Dr. Ada Moreno");
  await heading(office.page, "Dr. Ada Moreno").waitFor();
  await look(office.page, "console-person", true);
  await press(office.page, "Request permission");
  await office.page.locator("#grant_reason-error").waitFor();
  await look(office.page, "console-person-wrong");
  await field(office.page, "Reason").first().fill("Second phone at hand");
  await press(office.page, "Request permission");
  await office.page.getByText("Another person must now approve it.").waitFor();

  const doctor = await logIn(ben);
  const { page } = doctor;
  // He works in two practices, and chooses one.
  await page.goto(`${demo.origin}/practice`);
  await heading(page, "Practices").waitFor();
  await look(page, "practices", true);
  await follow(page, "Lakeside Clinic");
  await heading(page, "Lakeside Clinic").waitFor();
  await page.getByRole("link", { name: /permission to sign revoked/ }).click();
  await page.getByText("a new passcode to approve exactly").waitFor();
  await press(page, "Confirm");
  await page.locator("#passphrase-error").waitFor();
  await look(page, "console-request-wrong");
  const execute = async (button, said) => {
    await field(page, "Passphrase").fill(ben.passphrase);
    await field(page, "Passcode from that token").fill(await ben.token.fresh());
    await press(page, button);
    await page.getByText(said).waitFor();
  };
  await execute("Confirm", "Record confirmed. The permission was already revoked.");
  await page.getByRole("link", { name: /permission to sign/ }).click();
  await look(page, "console-request", true);
  await execute("Approve", "Change approved. It is now in effect.");
  await page.getByText("May sign").first().waitFor();
  await waitForMail(/You now have permission to sign controlled-substance prescriptions/);

  // Who entered it can't execute it; her page says so.
  await follow(office.page, "Open tasks");
  await heading(office.page, "Open tasks").waitFor();
  await look(office.page, "console-due", true);
  await field(office.page, "What was done").first().fill("Called her; new phone on Monday");
  await press(office.page, "Mark as done");
  // What the law wants done is noted with a fresh code; what was typed goes along.
  await heading(office.page, "Mark a task as done").waitFor();
  await look(office.page, "console-confirm");
  await field(office.page, "Passcode from that token").fill(await ruth.token.fresh());
  await press(office.page, "Confirm");
  await office.page.getByText("Called her; new phone on Monday").waitFor();
  await office.page.goto(`${demo.origin}/practice`);
  await follow(office.page, "Lakeside Clinic");
  await follow(office.page, "Messages");
  await look(office.page, "console-letters");
  assert.deepEqual([...office.complaints, ...doctor.complaints, ...ada.complaints], []);
});

test("a link in a notice stops everything", async () => {
  const [, link] = await waitForMail(/(http:\/\/127\.0\.0\.1:\d+\/not-me\/[\w-]+)/);
  const stranger = await newPerson(browser);
  await stranger.page.goto(link);
  await heading(stranger.page, "This was not me").waitFor();
  await look(stranger.page, "not-me");
  await press(stranger.page, "Secure the account now");
  await heading(stranger.page, "Account secured").waitFor();
  await look(stranger.page, "not-me-done");
});

test("no page of these complained", () => {
  assert.deepEqual(findings, []);
});
