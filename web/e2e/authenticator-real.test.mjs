// The Countersign Authenticator served by the real server: what only that one can show, then every
// test of authenticator.test.mjs that needs no knob of the stand-in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, inspect, launchBrowser, newPerson, newPhone, readQr, shot, speaksProvisioning, startDemo } from "./support.mjs";

const demo = await startDemo();
// A name and not an address: passkeys belong to names.
process.env.AUTHENTICATOR_URL = demo.origin.replace("127.0.0.1", "localhost");
const findings = [];
let browser;

before(async () => { browser = await launchBrowser(); });
after(async () => {
  await browser?.close();
  await demo.stop();
});

const phone = ({ complaints = findings } = {}) => newPhone(browser, complaints);
const app = (origin = process.env.AUTHENTICATOR_URL) => `${origin}/authenticator/`;
const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

test("the page that brings a phone to the app: picture, address, steps", async () => {
  for (const javaScript of [true, false]) {
    const { context, page, complaints } = await newPerson(browser, { javaScript });
    await page.goto(`${demo.origin}/get`);
    await heading(page, "Get the Countersign Authenticator");
    await page.getByText(app(demo.origin)).waitFor();
    const picture = page.getByRole("img", { name: "QR code of the address below" });
    assert.ok(await picture.evaluate((it) => it.complete && it.naturalWidth > 0));
    if (javaScript) {
      assert.equal(await readQr(picture), app(demo.origin));
      findings.push(...(await inspect(page, "get")));
      await shot(page, "get");
    }
    findings.push(...complaints);
    await context.close();
  }
});

test("the app can be installed: manifest, icons, worker", async () => {
  const { context, page } = await phone();
  await page.goto(app());
  await heading(page, "Set up your token");
  const cdp = await context.newCDPSession(page);
  const { url, errors, data } = await cdp.send("Page.getAppManifest");
  assert.equal(url, `${app()}manifest.webmanifest`);
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  for (const { src, type } of manifest.icons) {
    const icon = await page.request.get(new URL(src, url).href);
    assert.deepEqual([icon.status(), icon.headers()["content-type"]], [200, type]);
  }
  const { installabilityErrors } = await cdp.send("Page.getInstallabilityErrors");
  // A context of a test has no profile, as a private window has none; there is no other obstacle.
  assert.deepEqual(installabilityErrors.map((it) => it.errorId).filter((it) => it !== "in-incognito"), []);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.close();
});

test("once opened it opens without the network, and keeps no answer of the server", async () => {
  const { context, page } = await phone();
  await page.goto(app());
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await context.setOffline(true);
  await page.reload();
  await heading(page, "Set up your token");
  assert.deepEqual(await axe(page), []);
  await press(page, "Set up");
  // Whether a session is here, only the server knows: without it nothing is set up.
  await page.getByText("The server could not be reached.").waitFor();
  const kept = await page.evaluate(async () => (await (await caches.open((await caches.keys())[0])).keys()).map((it) => new URL(it.url).pathname));
  assert.deepEqual(kept.filter((it) => !it.startsWith("/authenticator/") || /open\.svg|provision/.test(it)), []);
  await context.close();
});

test("no set-up in a browser that came from the EHR", async () => {
  const { context, page } = await phone();
  await page.goto(app(demo.origin));
  await heading(page, "Set up your token");
  await page.goto(demo.facts.chart_url);
  await page.getByRole("link", { name: "e-Prescribing" }).first().click();
  await page.waitForURL(/\/e-prescribing$/);
  await page.goto(app(demo.origin));
  await press(page, "Set up");
  await heading(page, "Not in this browser");
  // Nor past the app: the server says it itself.
  const refused = await page.evaluate(async () => {
    const { publicKey } = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
    const point = String.fromCharCode(...new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)));
    const device_key = btoa(point).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const response = await fetch("/provision/v1/credentials", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ version: 1, device_key }),
    });
    return { status: response.status, code: (await response.json()).code };
  });
  if (await speaksProvisioning(demo.origin)) assert.deepEqual(refused, { status: 409, code: "portal_browser" });
  else assert.ok(refused.status >= 400, JSON.stringify(refused));
  await context.close();
});

const enrolls = { skip: (await speaksProvisioning(demo.origin)) ? false : "the server does not speak version 1 of provisioning" };

test("a token can't be added from the browser that holds it", enrolls, async () => {
  const { context, page } = await phone();
  await page.goto(app(demo.origin));
  await press(page, "Set up");
  await page.getByLabel("PIN", { exact: true }).fill("482915");
  await page.getByLabel("Confirm PIN", { exact: true }).fill("482915");
  await press(page, "Save");
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  const id = await page.locator(".token .id").first().innerText();

  const portal = await context.newPage();
  await portal.goto(demo.facts.portal_url);
  await portal.getByLabel(/^NPI/).fill(demo.facts.npi);
  await portal.getByLabel("Passphrase", { exact: true }).fill(demo.facts.passphrase);
  await press(portal, "Next");
  await portal.getByLabel("Passcode", { exact: true }).fill(await demo.firstToken.fresh());
  await press(portal, "Sign in");
  await heading(portal, "Prescriber Dashboard");
  await portal.goto(`${demo.origin}/portal/tokens/new`);
  await portal.getByLabel("Token Name", { exact: true }).fill("This browser");
  await portal.locator("#credential_id").fill(id);
  await portal.locator("#otp").fill((await page.locator(".digits").first().innerText()).replace(/\s/g, ""));
  await press(portal, "Save");
  await portal.locator("#credential_id-error", { hasText: "This token is in the browser you are using now." }).waitFor();
  findings.push(...(await axe(portal)));
  await context.close();
});

test("the policy of the app lets nothing else in", async () => {
  const expected = [];
  const { context, page } = await phone({ complaints: expected });
  await page.goto(app());
  await page.evaluate(() => navigator.serviceWorker.ready);
  const tried = await page.evaluate(() => {
    const attempt = (what) => { try { what(); return "done"; } catch (error) { return error.name; } };
    return [
      attempt(() => { document.createElement("div").innerHTML = "<b>x</b>"; }),
      attempt(() => trustedTypes.createPolicy("another", {})),
      attempt(() => trustedTypes.createPolicy("countersign-worker", {})),
    ];
  });
  assert.deepEqual(tried, ["TypeError", "TypeError", "TypeError"]);
  assert.ok(expected.every((it) => /TrustedHTML|TrustedTypePolicy/.test(it)), expected.join("\n"));
  const allowed = await page.evaluate(() => ["camera", "microphone", "geolocation"].map((it) => document.featurePolicy.allowsFeature(it)));
  assert.deepEqual(allowed, [true, false, false]);
  await context.close();
});

await import("./authenticator.test.mjs");

test("no page of the real server complained", () => {
  assert.deepEqual(findings, []);
});
