// Shared by the tests in which several people work: logging in, the mailbox, decisions with a code.
import { inspect, newPerson, shot } from "./support.mjs";

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });
export const field = (page, label) => page.getByLabel(label, { exact: true });
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
export const follow = (page, name) => page.getByRole("link", { name, exact: true }).click();

/** Looks at a page and keeps what is wrong; takes its picture for the documents where asked. */
export function looker(findings) {
  return async (page, name, picture = false) => {
    findings.push(...(await inspect(page, name)));
    if (picture) await shot(page, name);
  };
}

/** Somebody in a browser of their own, logged in with both factors. */
export async function logIn(browser, portal, { sign_in: name, passphrase, token }) {
  const person = await newPerson(browser);
  const { page } = person;
  await page.goto(portal);
  await page.getByLabel(/^NPI/).fill(name);
  await field(page, "Passphrase").fill(passphrase);
  await press(page, "Next");
  await heading(page, "Enter a passcode").waitFor();
  await field(page, "Passcode").fill(await token.fresh());
  await press(page, "Sign in");
  await page.getByText("Active tokens").waitFor();
  return person;
}

/** Waits for a message of the demonstration's mailbox; the newest that fits comes first. */
export async function waitForMail(facts, pattern, not = null) {
  for (let tries = 0; tries < 60; tries += 1) {
    const found = (await (await fetch(facts.mailbox_url)).text()).match(pattern);
    if (found && found[1] !== not) return found;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`no message like ${pattern}`);
}

/** Types a fresh passcode under a decision, and sends it. */
export async function decide(page, token, button) {
  await field(page, "Passcode from that token").last().fill(await token.fresh());
  await press(page, button);
}
