// What the parts of the walk share: the demo server, the browser, the tokens, and the steps of signing in.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { handiest, inspect, launchBrowser, shot, startDemo } from "../support.mjs";

export let demo;
export let browser;
/** Active tokens of the demo's prescriber, as the tests know them. */
export const tokens = [];
/** Cookies of a person who has logged in, for the tests whose login is not what they test. */
export let session;
export const keepSession = (cookies) => { session = cookies; };
/** Findings of all pages, so that one run shows them all. */
export const findings = [];

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
export const pictured = new Set([
  "chart", "e-prescribing", "menu", "login", "passcode", "dashboard", "add-token", "tokens", "token",
  "passcode-used", "passcode-locked", "disable", "disable-last", "test", "history", "no-token",
]);

export async function look(page, name) {
  findings.push(...(await inspect(page, name)));
  if (pictured.has(name)) await shot(page, name);
}

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });
export const field = (page, label) => page.getByLabel(label, { exact: true });
/** What a field says is wrong with it; null if it says nothing. */
export const fieldError = async (page, id) => {
  const error = page.locator(`#${id}-error`);
  return (await error.count()) ? (await error.innerText()).trim() : null;
};

/** Chooses the option whose words match. */
export async function choose(select, words) {
  const labels = await select.locator("option").allInnerTexts();
  const label = labels.find((it) => words.test(it));
  assert.ok(label, `no option like ${words} in: ${labels.join(", ")}`);
  await select.selectOption({ label });
}

/** Step 1, by the portal's own address. */
export async function provePassphrase(page, npi = demo.facts.npi, passphrase = demo.facts.passphrase) {
  await page.goto(demo.facts.portal_url);
  // Where the EHR's launch has filled in the NPI, it can't be changed.
  const npiField = page.getByLabel(/^NPI/);
  if (await npiField.isEditable()) await npiField.fill(npi);
  await field(page, "Passphrase").fill(passphrase);
  await page.getByRole("button", { name: "Next" }).click();
}

/** Step 2. The only active token stands there fixed; of several, "any of my tokens" is chosen. */
export async function provePasscode(page, token = handiest(active())) {
  await heading(page, "Enter a passcode").waitFor();
  if (await field(page, "Token").count()) await choose(field(page, "Token"), /^Any of my tokens/);
  await field(page, "Passcode").fill(await token.fresh());
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Where the last code is some time ago (a slow machine), a change asks for another one. */
export async function confirmIfAsked(page) {
  if (!(await page.locator("#stepup_passcode").count())) return;
  await page.locator("#stepup_passcode").fill(await handiest(active()).fresh());
}

export async function signOut(page) {
  await page.locator(".who").getByRole("button", { name: "Sign out" }).click();
  await heading(page, "You are signed out").waitFor();
}

/** The tokens that are active and not locked. */
export const active = () => tokens.filter((token) => !token.off);
export const tokenRow = (page, name) => page.getByRole("row").filter({ hasText: name });
export const hasStatus = (page, name, status) =>
  tokenRow(page, name).locator(".status").filter({ hasText: status }).waitFor();
export const openToken = async (page, name) => {
  await page.goto(`${demo.origin}/portal/tokens`);
  await tokenRow(page, name).getByRole("link", { name, exact: true }).click();
  await heading(page, name).waitFor();
};

/** Another NPI that is well-formed: its last digit is right with the prefix 80840. */
export function anotherNpi() {
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
