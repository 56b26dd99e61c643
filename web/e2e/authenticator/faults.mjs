// A clock that is off, faults of the server, and devices that the app is not for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRightCode, choosePin, DESKTOP, enroll, heading, look, open, PAIRING, person, press, server, standIn, unlock } from "./support.mjs";

test("a clock that is off is said in words and corrected, with and without the server", standIn, async () => {
  server.offsetMs = 125_000;
  const { page, context } = await person();
  try {
    const id = await enroll(page);
    await page.getByText("This phone's clock is 2 minutes slow. Codes are corrected.").waitFor();
    await assertRightCode(page, id);
    await look(page, "clock");
    await page.evaluate(() => navigator.serviceWorker.ready);
    await server.stop();
    await page.reload();
    await unlock(page);
    await page.locator(".code").waitFor();
    await page.getByText("This phone's clock is 2 minutes slow. Codes are corrected.").waitFor();
    await assertRightCode(page, id);
  } finally {
    server.offsetMs = 0;
    await server.start().catch(() => {});
  }
  await context.close();
});

test("faults of the server are sentences, and nothing is kept", standIn, async () => {
  const { page, context } = await person();
  await open(page);
  await press(page, "Set up");
  await choosePin(page);
  for (const [fault, words] of [
    ["confirmation", /The server could not prove that it has the same key/],
    ["full", /The server can't accept new tokens right now/],
    ["too_many", /Too many setups at once/],
    ["version_unknown", /This app is out of date/],
    ["pairing_malformed", /A pairing code has 26 characters/],
    ["something_else", /The server sent an invalid response/],
  ]) {
    server.fault = fault;
    try {
      await press(page, "Set up without a code");
      await page.getByText(words).waitFor();
    } finally {
      server.fault = null;
    }
  }
  await look(page, "fault");
  await page.reload();
  await heading(page, "Set up your token");

  // The agreement works but the phone can't store: nothing is shown as added.
  await press(page, "Set up");
  await choosePin(page);
  await page.evaluate(() => { IDBObjectStore.prototype.add = () => { throw new DOMException("full", "QuotaExceededError"); }; });
  await press(page, "Set up without a code");
  await page.getByText(/The token could not be saved, so it was not added/).waitFor();
  assert.equal(await page.locator(".code").count(), 0);
  await look(page, "not-stored");
  await page.reload();
  await heading(page, "Set up your token");
  await context.close();
});

test("who leaves while the server is asked is not pulled back, and the token is there", standIn, async () => {
  const { page, context } = await person();
  await open(page);
  await press(page, "Set up");
  await choosePin(page);
  server.slowMs = 700;
  try {
    server.fault = "full";
    await press(page, "Set up without a code");
    await page.goBack();
    await heading(page, "Set up your token");
    await page.getByText(/The server can't accept new tokens/).waitFor();
    await heading(page, "Set up your token");
    server.fault = null;
    // The PIN that was chosen is still meant: no second question.
    await press(page, "Set up");
    await press(page, "Set up without a code");
    await page.goBack();
    await page.locator(".code").waitFor();
  } finally {
    server.slowMs = 0;
    server.fault = null;
  }
  await context.close();
});

test("no set-up in a browser that holds a portal session", standIn, async () => {
  const { page, context } = await person();
  server.portalSession = true;
  try {
    await open(page);
    await press(page, "Set up");
    await heading(page, "Not in this browser");
    await look(page, "portal");
    const asked = server.requests.filter((it) => it.startsWith("POST")).length;
    server.portalSession = false;
    await press(page, "Try again");
    await press(page, "Set up");
    await choosePin(page);
    // The session begins between the question and the request: the server says it itself.
    server.portalSession = true;
    await press(page, "Set up without a code");
    await heading(page, "Not in this browser");
    assert.equal(server.requests.filter((it) => it.startsWith("POST")).length, asked + 1);
  } finally {
    server.portalSession = false;
  }
  await context.close();
});

test("a computer gets the way to a phone instead of a set-up", async () => {
  const { page, context } = await person({ viewport: DESKTOP, userAgent: undefined, touch: false, installed: false });
  await open(page, `#pair=${PAIRING}`);
  await heading(page, "Open this on your phone");
  assert.equal(new URL(page.url()).hash, "");
  assert.equal(await page.getByRole("button", { name: "Set up" }).count(), 0);
  const picture = page.getByRole("img", { name: `QR code of the address ${server.origin}/authenticator/` });
  assert.ok(await picture.evaluate((it) => it.complete && it.naturalWidth > 0));
  await look(page, "desktop");
  await page.getByLabel("Language").selectOption("es");
  await heading(page, "Abra esto en su teléfono");
  await context.close();
});
