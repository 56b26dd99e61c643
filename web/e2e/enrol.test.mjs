// From an invitation to somebody who may sign: by an outside provider, and in person; a forgotten
// passphrase; and the worst day, counted.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Token, launchBrowser, newPerson, startDemo } from "./support.mjs";
import { decide, field, follow, heading, logIn, looker, press, waitForMail } from "./people.mjs";

const demo = await startDemo();
const findings = [];
const complaints = [];
const look = looker(findings);
const [ruth, ben, sam] = demo.facts.others.map((it) => ({ ...it, token: new Token(it.token_command) }));
const [grace, omar] = demo.facts.invited;
const CODE = /code for Lakeside (?:Clinic|Hospital): (\w{4} \w{4})/;
/** The box of the terms that names the made-up report of the demonstration. */
const REPORT = /I have read report MADE-UP-\S+ by Fictional auditor \(demonstration\), and will not sign any prescription type that it says is not handled correctly\./;
const PASSPHRASE = "copper lantern over nine rivers";
let browser;

before(async () => { browser = await launchBrowser(); });
after(async () => {
  await browser?.close();
  await demo.stop();
});

const enter = (person) => logIn(browser, demo.facts.portal_url, person);

async function person(of) {
  const found = await newPerson(browser);
  found.page.setDefaultTimeout(15_000);
  complaints.push(found.complaints);
  return of ? { ...found, ...of } : found;
}

/** A code comes by telephone and is typed back: then it is no longer missing, and only what waits for others is. */
async function confirmByPhone(page, stillMissing, before = null) {
  const missing = page.getByRole("listitem").filter({ hasText: "Confirmation code sent to your address." });
  await missing.waitFor();
  await press(page, "Send code");
  await page.getByText("A code was sent to your phone.").waitFor();
  const [, code] = await waitForMail(demo.facts, CODE, before);
  await field(page, "Code").fill(code);
  await press(page, "Confirm");
  await missing.waitFor({ state: "detached" });
  await page.waitForLoadState();
  await page.getByRole("listitem").filter({ hasText: stillMissing }).waitFor();
  assert.equal(await missing.count(), 0, "the code is still missing");
  assert.equal(await field(page, "Code").count(), 0, "the code is asked for again");
  return code;
}

async function addToken(page, token, name) {
  await field(page, "Token Name").fill(name);
  await page.locator("#credential_id").fill(token.id);
  await page.locator("#otp").fill(await token.fresh());
  await press(page, "Save");
}

let graceTokens;
let graceCode;

test("an invited prescriber enrols by an outside provider; a near match goes to a person", async () => {
  const { page } = await person();
  await page.goto(grace.link);
  await heading(page, "Lakeside Clinic invites you").waitFor();
  await look(page, "invitation", true);
  await press(page, "Get started");
  await heading(page, "Terms").waitFor();
  await press(page, "I agree");
  await page.locator("#audit-error").waitFor();
  await page.getByRole("link", { name: /^MADE-UP-/ }).waitFor();
  for (const text of ["I will keep my token", "I will report a lost", REPORT]) await page.getByLabel(text).check();
  await look(page, "enrol-terms", true);
  await press(page, "I agree");
  await heading(page, "Your information").waitFor();
  await field(page, "Date of birth").fill("2020-01-01");
  await press(page, "Next");
  await page.locator("#born-error").waitFor();
  await field(page, "Date of birth").fill(grace.born);
  await press(page, "Next");
  await heading(page, "Verify your identity").waitFor();
  await look(page, "enrol-proofing", true);

  const provider = "Verify your identity with Demo ID (fictional)";
  await press(page, provider);
  await heading(page, "Who are you?").waitFor();
  await look(page, "demo-provider", true);
  await page.getByText("It verifies no one").waitFor();
  await follow(page, "Henry Stone");
  await page.getByText("The provider verified a different person.").waitFor();
  await press(page, provider);
  await follow(page, "Decline");
  await page.getByText("did not verify your identity").waitFor();
  await press(page, provider);
  await follow(page, "Grace Birgit Lindholm Berg");
  await page.getByText("Your identity is not verified yet: your name or address at the provider differs from your invitation. Someone at your practice will review it.").waitFor();
  graceCode = await confirmByPhone(page, "Review by your practice");

  const proofer = await enter(sam);
  complaints.push(proofer.complaints);
  await follow(proofer.page, "Lakeside Clinic: practice administration");
  await proofer.page.getByRole("link", { name: /^Identity proofing/ }).click();
  await heading(proofer.page, "Identity proofing").waitFor();
  await look(proofer.page, "console-cases");
  await follow(proofer.page, "Grace Lindholm");
  await proofer.page.getByRole("heading", { name: "Name or address mismatch" }).waitFor();
  await look(proofer.page, "console-case-near", true);
  await decide(proofer.page, sam.token, "Same person");
  await proofer.page.getByText("Saved.").waitFor();

  await page.goto(`${demo.origin}/enrol`);
  await heading(page, "Your token").waitFor();
  await look(page, "enrol-token", true);
  graceTokens = [await demo.newToken("Grace one"), await demo.newToken("Grace two")];
  await addToken(page, graceTokens[0], "My phone");
  await page.getByText("Token added.").waitFor();
  await look(page, "enrol-passphrase", true);
  await follow(page, "Add another token");
  await addToken(page, graceTokens[1], "Fob at home");
  await heading(page, "Choose a passphrase").waitFor();
  await field(page, "Passphrase").fill("short");
  await field(page, "Confirm passphrase").fill("short");
  await press(page, "Set passphrase");
  await page.locator("#new-error").waitFor();
  await field(page, "Passphrase").fill(PASSPHRASE);
  await field(page, "Confirm passphrase").fill(PASSPHRASE);
  await press(page, "Set passphrase");
  await page.getByText("Your passphrase is set.").waitFor();
  await page.getByLabel(/^NPI/).fill(grace.npi);
  await field(page, "Passphrase").fill(PASSPHRASE);
  await press(page, "Next");
  await field(page, "Passcode").fill(await graceTokens[0].fresh());
  await press(page, "Sign in");
  await page.getByText("Your token is not activated for signing.").waitFor();
  await look(page, "dashboard-enrolled", true);
  await page.goto(`${demo.origin}/portal/approval`);
  await heading(page, "Waiting for access approval").waitFor();
  await look(page, "enrol-approval");
});

test("in a hospital the photo ID is seen by one unit, and another authorizes", async () => {
  const { page } = await person();
  await page.goto(omar.link);
  await press(page, "Get started");
  for (const text of ["I will keep my token", "I will report a lost", REPORT]) await page.getByLabel(text).check();
  await press(page, "I agree");
  await field(page, "Date of birth").fill(omar.born);
  await press(page, "Next");
  await page.getByText("Show your photo ID in person.").waitFor();
  await confirmByPhone(page, "Show your photo ID in person.", graceCode);

  const proofer = await enter(sam);
  complaints.push(proofer.complaints);
  await follow(proofer.page, "Lakeside Hospital: practice administration");
  await proofer.page.getByRole("link", { name: /^Identity proofing/ }).click();
  await follow(proofer.page, "Omar Haddad");
  await press(proofer.page, "Confirm that I checked all of this");
  await proofer.page.locator("#id_kind-error").waitFor();
  await look(proofer.page, "console-case-wrong");
  await proofer.page.locator("#id_kind").selectOption("Passport");
  await field(proofer.page, "Last four characters of the ID number").fill("4821");
  await field(proofer.page, "ID expiration date").fill("2030-01-31");
  await proofer.page.getByLabel("State authorization to practice and prescribe is current and in good standing.").check();
  await proofer.page.getByLabel("Or: the person is granted access privileges").check();
  await look(proofer.page, "console-case", true);
  await decide(proofer.page, sam.token, "Confirm that I checked all of this");
  await proofer.page.getByText("Saved.").waitFor();

  const office = await enter(ruth);
  complaints.push(office.complaints);
  await follow(office.page, "Lakeside Hospital: practice administration");
  await heading(office.page, "Lakeside Hospital").waitFor();
  await office.page.getByText("Next: identity proofing.").waitFor();
  await look(office.page, "console-on-their-way", true);
  await office.page.getByRole("link", { name: /^Identity proofing/ }).click();
  await follow(office.page, "Omar Haddad");
  await decide(office.page, ruth.token, "Authorize");
  await office.page.getByText("Saved.").waitFor();

  await page.goto(`${demo.origin}/enrol`);
  await heading(page, "Your token").waitFor();
  const token = await demo.newToken("Omar one");
  await addToken(page, token, "My phone");
  await field(page, "Passphrase").fill(PASSPHRASE);
  await field(page, "Confirm passphrase").fill(PASSPHRASE);
  await press(page, "Set passphrase");
  await page.getByText("Your passphrase is set.").waitFor();

  // The rest of the console, at both widths.
  const base = office.page.url().replace(/\/cases.*/, "");
  for (const [path, title] of [["invite", "Invite a user"], ["rules", "Lakeside Hospital: settings"], ["fleet", "All tokens"]]) {
    await office.page.goto(`${base}/${path}`);
    await heading(office.page, title).waitFor();
    await look(office.page, `console-${path}`, true);
  }
  await office.page.goto(`${base}/invite`);
  await press(office.page, "Send invitation");
  await office.page.locator("#npi-error").waitFor();
  await look(office.page, "console-invite-wrong");
});

test("a forgotten passphrase: two tokens, a code, a new one", async () => {
  const { page } = await person();
  await page.goto(demo.facts.portal_url);
  await follow(page, "Forgot your passphrase?");
  await heading(page, "Forgot your passphrase?").waitFor();
  await look(page, "forgot", true);
  await field(page, "NPI").fill(grace.npi);
  await field(page, "Passcode from one token").fill(await graceTokens[0].fresh());
  await field(page, "Passcode from another token").fill(await graceTokens[1].fresh());
  await press(page, "Next");
  await heading(page, "New passphrase").waitFor();
  await look(page, "forgot-code", true);
  await field(page, "Code").fill(await waitForCodeTo("+14025550111", graceCode));
  await field(page, "New passphrase").fill(`${PASSPHRASE} again`);
  await field(page, "Confirm new passphrase").fill(`${PASSPHRASE} again`);
  await press(page, "Set passphrase");
  await page.getByText("Your new passphrase is set.").waitFor();
});

/** Counts what a walk asks of people: pages, fields, and codes that must be waited for. */
class Walk {
  pages = 0;
  fields = 0;
  waits = 0;
  people = new Set();
  #codes = new Map();

  watch(name, page) {
    this.people.add(name);
    // Each document once: that a page drops "?done=" from its address is no other page.
    page.on("domcontentloaded", () => {
      // The pages between, which go on by themselves, ask nothing of anybody.
      if (!/\/(proofing|authorize)/.test(page.url())) this.pages += 1;
    });
  }

  async fill(locator, text) {
    this.fields += 1;
    await locator.fill(text);
  }

  /** A code of a token; the second one of the same token has to be waited for. */
  async code(locator, token) {
    const before = this.#codes.get(token) ?? 0;
    if (before > 0) this.waits += 1;
    this.#codes.set(token, before + 1);
    await this.fill(locator, await token.fresh());
  }
}

// Shows: N-22, A7, R-1311.125-d1
test("the lost phone: from the report to the permission's return, counted", async () => {
  const walk = new Walk();
  const { page } = await person();
  walk.watch("prescriber", page);
  await page.goto(`${demo.origin}/portal/login`);
  await follow(page, "I lost my phone");
  await heading(page, "I lost my phone").waitFor();
  await look(page, "login-lost", true);
  await walk.fill(page.getByLabel(/^NPI/), demo.facts.npi);
  await walk.fill(field(page, "Passphrase"), demo.facts.passphrase);
  await press(page, "Next");
  await heading(page, "Report a lost token").waitFor();
  await look(page, "lost-only", true);
  await press(page, "Disable this token");
  await heading(page, "You have no active token").waitFor();
  await look(page, "no-token", true);
  await waitForMail(demo.facts, /reported a token lost, stolen or compromised/);
  await press(page, "Start identity proofing");
  await page.getByText("Still needed").waitFor();
  await look(page, "recovery", true);
  await press(page, "Verify your identity with Demo ID (fictional)");
  await follow(page, "Ada Moreno");
  await page.getByText("Your identity is not verified yet. See below what is still needed.").waitFor();
  await press(page, "Send code");
  await page.getByText("A code was sent to your phone.").waitFor();
  let code = await waitForCodeTo("+14025550101", null);
  await walk.fill(field(page, "Code"), code);
  await press(page, "Confirm");
  await page.getByText("You have 15 minutes.").waitFor();
  await look(page, "recovery-add", true);
  const phone = await demo.newToken("New phone");
  await walk.fill(field(page, "Token Name"), "New phone");
  await walk.fill(page.locator("#credential_id"), phone.id);
  await walk.code(page.locator("#otp"), phone);
  await press(page, "Save");
  await page.getByText("Token added. Wait for its next passcode").waitFor();
  await walk.code(field(page, "Passcode"), phone);
  await press(page, "Sign in");
  // The suspension comes first; the activation need not wait for it.
  await page.getByText("Your permission to sign is suspended: a token or the passphrase was reported lost, stolen or compromised on").waitFor();
  await follow(page, "View status");
  await heading(page, "Waiting for access approval").waitFor();
  await follow(page, "activate your token for signing");
  await press(page, "Send code");
  await page.getByText("A code was sent to your phone.").waitFor();
  code = await waitForCodeTo("+14025550101", code);
  await walk.fill(field(page, "Activation code"), code);
  await press(page, "Activate");
  await page.getByText("Token activated for signing.").waitFor();

  // One enters, another executes.
  const counted = async (who) => {
    const found = await newPerson(browser);
    complaints.push(found.complaints);
    walk.watch(who.name, found.page);
    await found.page.goto(demo.facts.portal_url);
    await walk.fill(found.page.getByLabel(/^NPI/), who.sign_in);
    await walk.fill(field(found.page, "Passphrase"), who.passphrase);
    await press(found.page, "Next");
    await walk.code(field(found.page, "Passcode"), who.token);
    await press(found.page, "Sign in");
    await follow(found.page, "Lakeside Clinic: practice administration");
    await heading(found.page, "Lakeside Clinic").waitFor();
    return found.page;
  };
  const office = await counted(ruth);
  await follow(office, "Dr. Ada Moreno");
  await walk.fill(field(office, "Reason").first(), "New phone, proofed again");
  await press(office, "Request permission");
  await office.getByText("Another person must now approve it.").waitFor();
  const doctor = await counted(ben);
  const execute = async (link, button, said) => {
    await doctor.getByRole("link", { name: link }).click();
    await walk.fill(field(doctor, "Passphrase"), ben.passphrase);
    await walk.code(field(doctor, "Passcode from that token"), ben.token);
    await press(doctor, button);
    await doctor.getByText(said).waitFor();
  };
  await execute(/permission to sign revoked/, "Confirm", "Record confirmed. The permission was already revoked.");
  await execute(/Ada Moreno: permission to sign/, "Approve", "Change approved. It is now in effect.");
  await page.goto(`${demo.origin}/portal/approval`);
  await heading(page, "Enrollment complete").waitFor();

  // What the documents print is what was walked.
  const counts = `| Countersign | ${walk.people.size} | ${walk.pages} | ${walk.fields} | ${walk.waits} codes, at most ${walk.waits * 30} s |`;
  const text = await readFile(join(import.meta.dirname, "../../docs/recovery.md"), "utf8");
  assert.ok(text.includes(counts), `docs/recovery.md does not have this row:\n${counts}`);
});

/** The newest code that went to a telephone number and is not this one. */
async function waitForCodeTo(number, not) {
  for (let tries = 0; tries < 60; tries += 1) {
    const text = await (await fetch(demo.facts.mailbox_url)).text();
    for (const section of text.split("<section>").slice(1)) {
      const found = section.replaceAll("&#43;", "+").includes(number) && section.match(CODE);
      if (found && found[1] !== not) return found[1];
    }
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`no code to ${number}`);
}

test("no page of these complained", () => {
  assert.deepEqual(findings, []);
  assert.deepEqual(complaints.flat(), []);
});
