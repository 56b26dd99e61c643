// From the first opening to a passcode, what is stored, and the app without its server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertRightCode, choosePin, cutOff, enroll, enrolls, heading, look, open, person, PIN, press, real, run, seeds, server, shownCode, shownId, standIn, unlock } from "./support.mjs";

test("from the first opening to a passcode: install help, PIN, no pairing code", enrolls, async () => {
  const { page, context, cdp } = await person({ installed: false });
  await open(page);
  await heading(page, "Install the app first");
  await look(page, "install");
  await press(page, "Continue without installing");
  await page.getByRole("heading", { name: "This browser may delete your token" }).waitFor();
  await look(page, "risk");
  await press(page, "Set up");

  await heading(page, "Choose a PIN");
  await look(page, "pin");
  for (const [pin, again, words] of [
    ["", "", "A PIN has at least 6 digits."],
    ["12345", "12345", "A PIN has at least 6 digits."],
    ["abcdef", "abcdef", "Use digits only."],
    ["123456", "123456", "That PIN is too easy to guess. Choose another."],
    [PIN, "482916", "The PINs don't match. Enter both again."],
  ]) {
    await page.getByLabel("PIN", { exact: true }).fill(pin);
    await page.getByLabel("Confirm PIN", { exact: true }).fill(again);
    await press(page, "Save");
    await page.getByText(words).waitFor();
  }
  await look(page, "pin-wrong");
  await choosePin(page);

  await heading(page, "Connect to the computer");
  await look(page, "pair");
  await page.getByLabel("Or enter the pairing code").fill("ABC 123");
  await press(page, "Connect");
  await page.getByText(/A pairing code has 26 characters/).waitFor();
  await look(page, "pair-bad");
  await press(page, "Set up without a code");

  await page.locator(".code").waitFor();
  const id = await shownId(page);
  assert.match(id, /^[A-Z]{4}\d{8}$/);
  assert.match(await page.locator(".token .id").innerText(), /^[A-Z]{4} \d{4} \d{4}$/);
  await assertRightCode(page, id);
  await page.getByRole("heading", { name: "One more step, on the computer" }).waitFor();
  await page.getByRole("heading", { name: "This browser may delete your token" }).waitFor();
  await look(page, "codes-first");
  if (!real) {
    const { request } = server.credentials.get(id);
    assert.deepEqual([request.device_class, request.device_evidence, request.algorithm, "pairing_code" in request], ["phone", "checked", "SHA256", false]);
  }

  // Read singly, by groups of three for the eye, time left on focus only.
  const code = page.locator(".code");
  const digits = await shownCode(page);
  assert.equal(await page.locator(".digits > span").first().textContent(), digits.slice(0, 3));
  const { nodes } = await cdp.send("Accessibility.getFullAXTree");
  const names = nodes.filter((it) => it.role?.value === "button").map((it) => it.name.value);
  assert.ok(names.some((it) => /^Passcode (\d ){5}\d Copy$/.test(it)), `no single digits in: ${names.join(" | ")}`);
  assert.equal(await page.locator("[aria-live], [role=timer]").count(), 0);
  await code.focus();
  const described = () => page.locator(`#left-0`).textContent();
  const told = await described();
  assert.match(told, /^\d+ seconds? left$/);
  await sleep(1500);
  assert.equal(await described(), told, "stands still while it has the focus");

  await code.click();
  await page.getByText("Passcode copied").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\d{6}$/);
  await page.getByRole("button", { name: /^Copy credential ID/ }).click();
  await page.getByText("Credential ID copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);

  await press(page, "I've entered the code");
  await page.getByRole("heading", { name: "One more step, on the computer" }).waitFor({ state: "detached" });
  await look(page, "codes");
  await context.close();
});

test("nothing that is stored tells the seed or the PIN", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  const stored = await page.evaluate(async () => {
    const db = await new Promise((done, fail) => {
      const request = indexedDB.open("countersign-authenticator");
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
    const out = [];
    for (const name of db.objectStoreNames) {
      const all = await new Promise((done) => { const r = db.transaction(name).objectStore(name).getAll(); r.onsuccess = () => done(r.result); });
      const hex = (value) => value instanceof Uint8Array ? [...value].map((it) => it.toString(16).padStart(2, "0")).join("")
        : value instanceof CryptoKey ? "A KEY" : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, it]) => [key, hex(it)])) : value;
      out.push(JSON.stringify(all.map(hex)));
    }
    return { text: out.join(), local: { ...localStorage }, session: { ...sessionStorage }, cookies: document.cookie };
  });
  const { seed } = seeds.get(id);
  assert.ok(stored.text.includes(id));
  for (const secret of [seed.toString("hex"), seed.toString("base64"), PIN, "A KEY"]) assert.ok(!stored.text.includes(secret), secret);
  assert.deepEqual([stored.local, stored.session, stored.cookies], [{}, {}, ""]);
  await context.close();
});

test("the code is that of oathtool", enrolls, async (t) => {
  try {
    await run("oathtool", ["--version"]);
  } catch {
    return t.skip("oathtool is not installed");
  }
  const { page, context } = await person();
  const id = await enroll(page);
  await assertRightCode(page, id);
  const { seed } = seeds.get(id);
  for (let attempt = 0; ; attempt += 1) {
    const [shown, { stdout }] = await Promise.all([shownCode(page), run("oathtool", ["--totp=SHA256", seed.toString("hex")])]);
    if (shown === stdout.trim()) break;
    assert.ok(attempt < 3, `${shown} is not ${stdout}`);
    await sleep(400);
  }
  return context.close();
});

test("works with the server stopped: opened again, unlocked, the code right", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const reconnect = await cutOff(context);
  try {
    await page.reload();
    await heading(page, "Unlock");
    await unlock(page);
    await page.locator(".code").waitFor();
    await assertRightCode(page, id);
    await press(page, "Add a token");
    await page.getByText("The server could not be reached.").waitFor();
    await look(page, "offline");
    // The reader of QR codes is there too.
    assert.equal(await page.evaluate(async () => (await fetch([...(await (await caches.open((await caches.keys())[0])).keys())].find((it) => /jsQR/.test(it.url)).url)).status), 200);
    const kept = await page.evaluate(async () => (await (await caches.open((await caches.keys())[0])).keys()).map((it) => new URL(it.url).pathname));
    assert.ok(kept.includes("/authenticator/"));
    assert.deepEqual(kept.filter((it) => !it.startsWith("/authenticator/") || /open\.svg|provision/.test(it)), []);
  } finally {
    await reconnect();
  }
  await context.close();
});

test("a new version waits until the app is opened the next time", standIn, async () => {
  const { page, context } = await person();
  await open(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  const state = (of) => of.evaluate(async () => {
    const it = await navigator.serviceWorker.getRegistration();
    return { waiting: it.waiting !== null, caches: await caches.keys() };
  });
  const old = await state(page);
  assert.equal(old.waiting, false);
  server.newVersion = [/[0-9a-f]{16}/, "0123456789abcdef"];
  try {
    await page.evaluate(async () => { await (await navigator.serviceWorker.getRegistration()).update(); });
    await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration()).waiting !== null);
    await page.reload();
    assert.ok((await state(page)).caches.includes(old.caches[0]), "the old files stay while the app is open");
    await page.close();
    const again = await context.newPage();
    await open(again);
    await again.waitForFunction(async () => (await caches.keys()).join() === "authenticator-0123456789abcdef");
    // The page hears of the change of workers a moment after it.
    await again.waitForFunction(async () => (await navigator.serviceWorker.getRegistration()).waiting === null);
  } finally {
    server.newVersion = null;
  }
  await context.close();
});
