// From a chart to a prescription that its pharmacy has taken, signed with a code of the web authenticator
// in a second browser profile; and what the law allows when the pharmacy does not take it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { PhoneToken, Token, launchBrowser, newPerson, newPhone, readQr, startDemo, waitNextStep } from "./support.mjs";
import { field, follow, heading, logIn, looker, press, waitForMail } from "./people.mjs";

const run = promisify(execFile);
const binary = process.env.COUNTERSIGN_BIN ?? resolve(import.meta.dirname, "../../target/debug/countersign");
const PIN = "482915";
const demo = await startDemo();
const findings = [];
const look = looker(findings);
let browser;
/** Where prescriptions are written; `phone` is what signs them. */
let clinic;
let phone;

before(async () => { browser = await launchBrowser(); });
after(async () => {
  await browser?.close();
  await demo.stop();
});

/** Types a prescription into the open form. */
async function write(page, { note = "", drug = "Oxycodone hydrochloride" } = {}) {
  await field(page, "Drug").fill(drug);
  await field(page, "Strength").fill("5 mg");
  await field(page, "Form").fill("tablet");
  await field(page, "Quantity").fill("20");
  await field(page, "Unit").fill("tablets");
  await field(page, "Directions for use").fill("One tablet every six hours as needed for pain");
  await field(page, "Patient's address").fill("4 Birch Lane, Lincoln NE 68502");
  if (note) await page.getByLabel(/^Note to the pharmacist/).fill(note);
  await field(page, "Pharmacy").selectOption({ index: 1 });
  await field(page, "DEA number").selectOption({ index: 1 });
  await press(page, "Save");
}

async function sign(page) {
  await page.getByRole("link", { name: /^Review and sign/ }).click();
  await heading(page, "Review and sign").waitFor();
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await field(page, "Passcode from that token").fill(await phone.fresh());
  await page.getByRole("button", { name: /^Sign (the|\d)/ }).click();
  await page.getByText("Signed. Being sent to the pharmacy.").waitFor();
}

/** Puts a QR code before the camera of a phone, square by square. */
async function see(page, squares) {
  await page.evaluate((path) => {
    const canvas = document.createElement("canvas");
    const size = 6;
    const marks = [...path.matchAll(/M(\d+) (\d+)h(\d+)/g)].map((it) => it.slice(1).map(Number));
    const side = Math.max(...marks.map(([x, , wide]) => x + wide)) + 4;
    [canvas.width, canvas.height] = [side * size, side * size];
    const context = canvas.getContext("2d");
    const draw = () => {
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = "#000";
      for (const [x, y, wide] of marks) context.fillRect(x * size, y * size, wide * size, size);
    };
    draw();
    setInterval(draw, 100);
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
  }, squares);
}

/** Looks at a prescription again until its page says so. */
async function until(page, text) {
  for (let tries = 0; tries < 60; tries += 1) {
    if (await page.getByText(text).count()) return;
    await new Promise((done) => setTimeout(done, 250));
    await page.reload();
  }
  throw new Error(`the page never said ${text}: ${await page.locator("main").innerText()}`);
}

test("a phone that was paired a minute ago is activated for signing", async () => {
  const { page, context } = await logIn(browser, demo.facts.portal_url, { sign_in: demo.facts.npi, passphrase: demo.facts.passphrase, token: demo.firstToken });
  await page.goto(`${demo.origin}/portal/tokens/new`);
  await press(page, "Show pairing code");
  await heading(page, "Pair a phone").waitFor();
  const address = await readQr(page.locator("img.qr"));
  const { page: app } = await newPhone(browser, findings);
  await app.goto(address);
  await press(app, "Set up");
  await field(app, "PIN").fill(PIN);
  await field(app, "Confirm PIN").fill(PIN);
  await press(app, "Save");
  await press(app, "Connect");
  await app.locator(".code").waitFor();
  phone = new PhoneToken(app);
  await page.getByText("Phone paired.").waitFor();
  await field(page, "Token Name").fill("New phone");
  await page.locator("#otp").fill(await phone.fresh());
  if (await page.locator("#stepup_passcode").count()) await page.locator("#stepup_passcode").fill(await demo.firstToken.fresh());
  await press(page, "Save");
  await page.getByText("Token added. You can sign in with it now. To sign prescriptions, activate it in the list below.").waitFor();
  await follow(page, "New phone");
  await follow(page, "Activate for signing");
  await press(page, "Send code");
  const [, code] = await waitForMail(demo.facts, /code for Lakeside Clinic: (\w{4} \w{4})/);
  await field(page, "Activation code").fill(code);
  await press(page, "Activate");
  await page.getByText("Token activated for signing.").waitFor();
  await context.close();
});

test("from the chart to a prescription that its pharmacy has taken", async () => {
  clinic = await newPerson(browser);
  const { page } = clinic;
  await page.goto(demo.facts.chart_url);
  await follow(page, "e-Prescribing");
  await heading(page, "e-Prescribing").waitFor();
  await follow(page, "Write a prescription");
  await heading(page, "Write a prescription").waitFor();
  await look(page, "rx-edit", true);
  // A wrong turn first: what is wrong stands beside its field, and what was typed is kept.
  await field(page, "Drug").fill("Oxycodone hydrochloride");
  await field(page, "Quantity").fill("many");
  await press(page, "Save");
  await page.locator("#quantity-error").waitFor();
  assert.equal(await field(page, "Drug").inputValue(), "Oxycodone hydrochloride");
  await look(page, "rx-edit-wrong");
  await write(page);
  await heading(page, "Oxycodone hydrochloride 5 mg").waitFor();
  await look(page, "rx-draft", true);
  await press(page, "Mark ready to sign");
  await page.getByText("Marked ready to sign.").waitFor();
  await look(page, "rx-list", true);
  await page.getByRole("link", { name: /^Review and sign/ }).click();
  await heading(page, "Review and sign").waitFor();
  await page.getByText("you are legally signing the prescription(s)").waitFor();
  await look(page, "rx-sign", true);
  // A code that is not this phone's signs nothing.
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await field(page, "Passcode from that token").fill("000000");
  await page.getByRole("button", { name: /^Sign (the|\d)/ }).click();
  await page.locator("#stepup_passcode-error").waitFor();
  await look(page, "rx-sign-wrong");
  await page.goto(`${demo.origin}/e-prescribing`);
  await sign(page);
  await follow(page, "Oxycodone hydrochloride 5 mg");
  await until(page, /Accepted by Corner Pharmacy/);
  await look(page, "rx-sent", true);

  // The pharmacy has verified it; so can anybody, with the published keys alone.
  const desk = await newPerson(browser);
  await desk.page.goto(demo.facts.pharmacy_url);
  await desk.page.getByText("Signed by Dr. Ada Moreno").waitFor();
  assert.equal(await desk.page.locator("section").count(), 1);
  await look(desk.page, "pharmacy", true);
  await desk.context.close();
  const record = await page.evaluate(async (href) => (await fetch(href)).text(), await page.getByRole("link", { name: "Download record" }).getAttribute("href"));
  const folder = await mkdtemp(join(tmpdir(), "countersign-rx-"));
  await writeFile(join(folder, "record.jws"), record);
  await writeFile(join(folder, "keys.json"), await (await fetch(`${demo.origin}/.well-known/jwks.json`)).text());
  const verify = (name) => run(binary, ["prescription", "verify", join(folder, name), "--keys", join(folder, "keys.json")]);
  assert.match((await verify("record.jws")).stdout, /The signature is valid/);
  await writeFile(join(folder, "changed.jws"), record.replace(/\.(.)/, (_, letter) => `.${letter === "e" ? "f" : "e"}`));
  await assert.rejects(verify("changed.jws"), /not valid/);
  await rm(folder, { recursive: true });
  await follow(page, "Print a copy");
  await page.getByText("Copy only—not valid for dispensing").first().waitFor();
  await look(page, "rx-copy");
});

test("the phone shows what is signed, and its code is bound to that", async () => {
  const { page } = clinic;
  const { page: app } = phone;
  await page.goto(`${demo.origin}/e-prescribing/new`);
  await write(page, { drug: "Alprazolam" });
  await press(page, "Mark ready to sign");
  await page.getByRole("link", { name: /^Review and sign/ }).click();
  await page.getByText("Check on your phone what you sign").click();
  await look(page, "rx-sign-bound");
  await see(app, await page.locator(".bound svg path").last().getAttribute("d"));
  const begin = async () => {
    await app.getByRole("button", { name: /^Sign with/ }).click();
    await heading(app, "Sign a prescription").waitFor();
  };
  // Typed in place of scanned: the app says that it has seen nothing.
  await begin();
  await field(app, "Or enter the number below the QR code").fill("12");
  await press(app, "Show passcode");
  await app.locator("#number-error").waitFor();
  await look(app, "sign-begin");
  await field(app, "Or enter the number below the QR code").fill(await page.locator(".bound .id").innerText());
  await press(app, "Show passcode");
  await app.getByText("This app can't show what you sign.").waitFor();
  await press(app, "Back");
  await begin();
  await press(app, "Scan the QR code");
  await heading(app, "Is this what you want to sign?").waitFor();
  await app.getByText("Alprazolam 5 mg tablet, 20 tablets").waitFor();
  await look(app, "sign-review", true);
  await press(app, "Yes, show passcode");
  await app.locator(".digits").first().waitFor();
  await look(app, "sign-code", true);
  const code = async () => (await app.locator(".digits").first().innerText()).replace(/\s/g, "");
  // The step of the last signature is spent.
  await waitNextStep();
  const digits = await code();
  assert.match(digits, /^\d{8}$/);
  await field(page, "Passphrase").fill(demo.facts.passphrase);
  await field(page, "Passcode from that token").fill(digits);
  await page.getByRole("button", { name: /^Sign (the|\d)/ }).click();
  await page.getByText("Signed. Being sent to the pharmacy.").waitFor();
  await follow(page, "Alprazolam 5 mg");
  const record = await page.evaluate(async (href) => (await fetch(href)).text(), await page.getByRole("link", { name: "Download record" }).getAttribute("href"));
  const said = JSON.parse(Buffer.from(record.split(".")[1], "base64url").toString());
  assert.equal(said.authentication.binding, "content_shown");
  await press(app, "Back");
  await waitNextStep();
});

test("what the pharmacy turns down is printed and signed by hand", async () => {
  const { page } = clinic;
  await page.goto(`${demo.origin}/e-prescribing/new`);
  await write(page, { note: "Reject this one", drug: "Hydromorphone hydrochloride" });
  await press(page, "Mark ready to sign");
  await sign(page);
  await follow(page, "Hydromorphone hydrochloride 5 mg");
  await until(page, /Not delivered to Corner Pharmacy/);
  await look(page, "rx-failed", true);
  await press(page, "Print for manual signature");
  await heading(page, "Prescription").waitFor();
  await page.getByText("The electronic transmission failed.").waitFor();
  await look(page, "rx-paper", true);
  // On one sheet, with the line for the signature.
  const pdf = await page.pdf({ format: "Letter", margin: { top: "1cm", bottom: "1cm", left: "1cm", right: "1cm" } });
  assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page[^s]/g).length, 1);
});

test("a nurse writes, and the prescriber finds it", async () => {
  const nurse = await newPerson(browser);
  const { page } = nurse;
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: "Switch to Jamie Lee" }).click();
  await page.goto(demo.facts.chart_url);
  await follow(page, "e-Prescribing");
  await follow(page, "Write a prescription");
  await look(page, "rx-edit-nurse");
  await field(page, "Drug").fill("Zolpidem tartrate");
  await field(page, "Prescriber").selectOption({ label: "Dr. Ada Moreno" });
  await press(page, "Save");
  await page.getByText("Still needed").waitFor();
  await page.goto(`${demo.origin}/e-prescribing/sign`);
  await heading(page, "Only prescribers can sign").waitFor();
  await clinic.page.goto(`${demo.origin}/e-prescribing`);
  await clinic.page.getByRole("link", { name: "Zolpidem tartrate" }).waitFor();
  assert.deepEqual([...nurse.complaints, ...clinic.complaints], []);
});

test("the prescriber reads the log and disowns a line; the practice finds its records", async () => {
  const { page, context } = await logIn(browser, demo.facts.portal_url, { sign_in: demo.facts.npi, passphrase: demo.facts.passphrase, token: phone });
  await follow(page, "Prescriptions");
  await heading(page, /^Signed prescriptions, /).waitFor();
  await look(page, "records", true);
  await page.getByText("I did not sign this").first().click();
  await press(page, "Report");
  await page.getByText("must review it within one business day").waitFor();
  await look(page, "records-reported");
  await context.close();
  const [ruth] = demo.facts.others;
  const ruths = new Token(ruth.token_command);
  const desk = await logIn(browser, demo.facts.portal_url, { ...ruth, token: ruths });
  await follow(desk.page, "Lakeside Clinic: practice administration");
  await follow(desk.page, "Signed prescriptions");
  await heading(desk.page, "Signed prescriptions").waitFor();
  await desk.page.getByLabel(/^Drug/).fill("oxy");
  await press(desk.page, "Search");
  await desk.page.getByText("Oxycodone hydrochloride 5 mg").waitFor();
  await look(desk.page, "console-records", true);
  const [download] = await Promise.all([desk.page.waitForEvent("download"), press(desk.page, "Save as table (CSV)")]);
  assert.equal(download.suggestedFilename(), "signed-prescriptions.csv");
  // What may be wanted by a court stays, whatever its age.
  await follow(desk.page, "Legal holds");
  await heading(desk.page, "Legal holds").waitFor();
  await press(desk.page, "Place hold");
  await desk.page.getByText("2 fields need attention").waitFor();
  await look(desk.page, "console-holds-wrong");
  await field(desk.page, "Prescriptions by").selectOption({ label: "Dr. Ada Moreno" });
  await field(desk.page, "Reason").fill("State v. Example");
  await press(desk.page, "Place hold");
  await field(desk.page, "Passcode from that token").fill(await ruths.fresh());
  await press(desk.page, "Confirm");
  await desk.page.getByText("Hold placed.").waitFor();
  await look(desk.page, "console-holds", true);
  await desk.page.getByText("Lift this hold").click();
  await field(desk.page, "Reason for lifting").fill("Case closed");
  await press(desk.page, "Lift");
  await heading(desk.page, "Legal holds").waitFor();
  await field(desk.page, "Passcode from that token").fill(await ruths.fresh());
  await look(desk.page, "console-holds-lift");
  await press(desk.page, "Lift the hold");
  await desk.page.getByText("Hold lifted.").waitFor();
  await desk.page.goto(`${desk.page.url().split("/holds")[0]}/due`);
  await press(desk.page, "Mark as done");
  await desk.page.getByText("Briefly describe what was done").waitFor();
  await look(desk.page, "console-due");
  assert.deepEqual(desk.complaints, []);
  await desk.context.close();
});

test("no page of these complained", () => {
  assert.deepEqual(findings, []);
});
