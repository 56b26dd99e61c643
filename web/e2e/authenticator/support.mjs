// What the tests of the app share: the server, the browser, people with their devices, and how a screen is looked at.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { MockServer, passcode } from "../mock-provision.mjs";
import { axe, launchBrowser, speaksProvisioning } from "../support.mjs";

export const run = promisify(execFile);
export const real = process.env.AUTHENTICATOR_URL ? new URL(process.env.AUTHENTICATOR_URL).origin : null;
/** For tests that need the stand-in. */
export const standIn = { skip: real ? "needs the stand-in server" : false };
/** For tests that set up a token. */
export const enrolls = { skip: !real || (await speaksProvisioning(real)) ? false : "the server does not speak version 1 of provisioning" };
/** A folder for pictures of every screen, to be looked at. */
export const pictures = process.env.AUTHENTICATOR_PICTURES ?? null;

export const PHONE = { width: 390, height: 844 };
export const TABLET = { width: 820, height: 1180 };
export const DESKTOP = { width: 1280, height: 900 };
export const WATCHES = [[176, 215], [198, 242], [208, 248]];
export const ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";
export const IPAD = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15";
export const PIN = "482915";
export const PAIRING = "ABCDEFGHIJKLMNOPQRSTUVWX27";

export let server;
export let browser;
/** What any page complained about, and what axe found. A test of its own looks at them. */
export const findings = [];
/** Seeds that pages wrapped: how a test knows the right code where the server doesn't tell it. */
export const seeds = new Map();

before(async () => {
  server = real ? { origin: real } : await new MockServer().start(0);
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop?.();
});

/** A person with a device of their own. `installed`: the page believes that it is the installed app. */
export async function person({ viewport = PHONE, userAgent = ANDROID, locale = "en-US", installed = true, touch = true, passkey = false, from = browser } = {}) {
  const context = await from.newContext({
    viewport, screen: viewport, userAgent, locale, isMobile: touch, hasTouch: touch, reducedMotion: "reduce", timezoneId: "America/New_York",
  });
  context.setDefaultTimeout(15_000);
  await context.grantPermissions(["clipboard-read", "clipboard-write", "camera"]);
  await context.exposeBinding("keepSeed", (_source, id, bytes) => { seeds.set(id, { seed: Buffer.from(bytes), algorithm: "SHA256" }); });
  await context.addInitScript(() => {
    const { wrapKey, exportKey } = SubtleCrypto.prototype;
    SubtleCrypto.prototype.wrapKey = async function (format, key, under, options) {
      if (key.algorithm.name === "HMAC") {
        const id = new TextDecoder().decode(options.additionalData).split("\0").at(-1);
        await globalThis.keepSeed(id, [...new Uint8Array(await exportKey.call(this, "raw", key))]);
      }
      return wrapKey.call(this, format, key, under, options);
    };
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => findings.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    // Answers of the API with a fault, and a server that is gone, are part of the tests.
    if (/Failed to load resource|net::ERR_/.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) findings.push(`${message.type()}: ${message.text()}`);
  });
  const cdp = await context.newCDPSession(page);
  // An emulated iPad has one touch point; a real one has five.
  if (touch) await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "maxTouchPoints", { get: () => 5 }));
  if (installed) {
    await context.addInitScript(() => {
      const { matchMedia } = globalThis;
      globalThis.matchMedia = (query) => matchMedia(query.replace("(display-mode: standalone)", "all"));
      // A browser without a profile promises nothing; a phone does so for an installed app.
      StorageManager.prototype.persisted = async () => true;
    });
  }
  let authenticatorId = null;
  if (passkey) {
    await cdp.send("WebAuthn.enable");
    ({ authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
        hasPrf: true, isUserVerified: true, automaticPresenceSimulation: true, ...(passkey === true ? {} : passkey),
      },
    }));
  }
  return { context, page, cdp, authenticatorId };
}

export const open = (page, fragment = "") => page.goto(`${server.origin}/authenticator/${fragment}`);
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

export async function choosePin(page, pin = PIN) {
  await page.getByLabel("PIN", { exact: true }).fill(pin);
  await page.getByLabel("Confirm PIN", { exact: true }).fill(pin);
  await press(page, "Save");
}

/** Sets up a token with a PIN and without a pairing code; answers its credential ID. */
export async function enroll(page) {
  await open(page);
  await press(page, "Set up");
  await choosePin(page);
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  return shownId(page);
}

export async function unlock(page, pin = PIN) {
  await page.getByLabel("PIN", { exact: true }).fill(pin);
  await press(page, "Unlock");
}

/** Cuts the phone off; the answer is how to bring it back. */
export async function cutOff(context) {
  if (real) {
    await context.setOffline(true);
    return () => context.setOffline(false);
  }
  await server.stop();
  return () => server.start();
}

export const shownId = async (page, at = 0) => (await page.locator(".token .id").nth(at).innerText()).replaceAll(" ", "");
export const shownCode = async (page, at = 0) => (await page.locator(".digits").nth(at).innerText()).replace(/\s/g, "");

/** The shown code is that of the seed that the server agreed on, now by the server's clock. */
export async function assertRightCode(page, id, at = 0) {
  await page.waitForFunction((nth) => /^\d{6}$/.test(document.querySelectorAll(".digits")[nth]?.textContent ?? ""), at);
  const credential = seeds.get(id);
  // The server agreed on the same one.
  if (!real) assert.deepEqual(server.credentials.get(id).seed, credential.seed);
  let shown = "";
  let wanted = "";
  // Around the change of a step one try may see the old code beside the new one.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    wanted = passcode(credential, real ? Date.now() : server.clockMs);
    shown = await shownCode(page, at);
    if (shown === wanted) break;
    await sleep(300);
  }
  assert.equal(shown, wanted, `passcode of ${id}`);
}

/** What every screen has to be, in both color schemes; with AUTHENTICATOR_PICTURES a picture of each. */
export async function look(page, name) {
  const note = (where, lines) => findings.push(...lines.map((line) => `${name}, ${where}: ${line}`));
  const width = page.viewportSize().width;
  const shape = await page.evaluate(() => ({
    headings: document.querySelectorAll("h1").length,
    inline: document.querySelectorAll("[style], style, script:not([src])").length,
    language: document.documentElement.lang,
    title: document.title,
    wide: document.documentElement.scrollWidth,
    small: [...document.querySelectorAll("button, input, select, a")]
      .filter((it) => it.checkVisibility() && (it.getBoundingClientRect().height < 43.5 || it.getBoundingClientRect().width < 43.5))
      .map((it) => it.outerHTML.slice(0, 120)),
  }));
  if (shape.headings !== 1) note("shape", [`${shape.headings} main headings`]);
  if (shape.inline) note("shape", [`${shape.inline} inline scripts or styles`]);
  if (!shape.language || !shape.title) note("shape", ["no language or title"]);
  if (shape.wide > width) note("shape", [`${shape.wide} px wide on ${width}`]);
  note("smaller than 44 px", shape.small);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    note(colorScheme, await axe(page));
    if (pictures) {
      await mkdir(pictures, { recursive: true });
      await page.screenshot({ path: join(pictures, `${name}-${colorScheme}.png`), animations: "disabled", caret: "initial", fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
}
