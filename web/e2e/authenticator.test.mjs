// The Countersign Authenticator in a browser: on phones, a tablet and watch-sized screens. By
// default against a stand-in for the server (mock-provision.mjs); AUTHENTICATOR_URL names the origin
// of a real one, and then the tests that turn the stand-in's knobs are left out
// (authenticator-real.test.mjs runs it so).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { MockServer, passcode } from "./mock-provision.mjs";
import { axe, launchBrowser, speaksProvisioning } from "./support.mjs";

const run = promisify(execFile);
const real = process.env.AUTHENTICATOR_URL ? new URL(process.env.AUTHENTICATOR_URL).origin : null;
/** For tests that need the stand-in. */
const standIn = { skip: real ? "needs the stand-in server" : false };
/** For tests that set up a token. */
const enrolls = { skip: !real || (await speaksProvisioning(real)) ? false : "the server does not speak version 1 of provisioning" };
/** A folder for pictures of every screen, to be looked at. */
const pictures = process.env.AUTHENTICATOR_PICTURES ?? null;

const PHONE = { width: 390, height: 844 };
const TABLET = { width: 820, height: 1180 };
const DESKTOP = { width: 1280, height: 900 };
const WATCHES = [[176, 215], [198, 242], [208, 248]];
const ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";
const IPAD = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15";
const PIN = "482915";
const PAIRING = "ABCDEFGHIJKLMNOPQRSTUVWX27";

let server;
let browser;
/** What any page complained about, and what axe found. A test of its own looks at them. */
const findings = [];
/** Seeds that pages wrapped: how a test knows the right code where the server doesn't tell it. */
const seeds = new Map();

before(async () => {
  server = real ? { origin: real } : await new MockServer().start(0);
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop?.();
});

/** A person with a device of their own. `installed`: the page believes that it is the installed app. */
async function person({ viewport = PHONE, userAgent = ANDROID, locale = "en-US", installed = true, touch = true, passkey = false, from = browser } = {}) {
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

const open = (page, fragment = "") => page.goto(`${server.origin}/authenticator/${fragment}`);
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

async function choosePin(page, pin = PIN) {
  await page.getByLabel("PIN", { exact: true }).fill(pin);
  await page.getByLabel("PIN again", { exact: true }).fill(pin);
  await press(page, "Save");
}

/** Sets up a token with a PIN and without a pairing code; answers its credential ID. */
async function enroll(page) {
  await open(page);
  await press(page, "Set up");
  await choosePin(page);
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  return shownId(page);
}

async function unlock(page, pin = PIN) {
  await page.getByLabel("PIN", { exact: true }).fill(pin);
  await press(page, "Unlock");
}

/** Cuts the phone off; the answer is how to bring it back. */
async function cutOff(context) {
  if (real) {
    await context.setOffline(true);
    return () => context.setOffline(false);
  }
  await server.stop();
  return () => server.start();
}

const shownId = async (page, at = 0) => (await page.locator(".token .id").nth(at).innerText()).replaceAll(" ", "");
const shownCode = async (page, at = 0) => (await page.locator(".digits").nth(at).innerText()).replace(/\s/g, "");

/** The shown code is that of the seed that the server agreed on, now by the server's clock. */
async function assertRightCode(page, id, at = 0) {
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
async function look(page, name) {
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

test("from the first opening to a passcode: install help, PIN, no pairing code", enrolls, async () => {
  const { page, context, cdp } = await person({ installed: false });
  await open(page);
  await heading(page, "Install the app first");
  await look(page, "install");
  await press(page, "Go on without installing");
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
    [PIN, "482916", "The two PINs differ. Type both again."],
  ]) {
    await page.getByLabel("PIN", { exact: true }).fill(pin);
    await page.getByLabel("PIN again", { exact: true }).fill(again);
    await press(page, "Save");
    await page.getByText(words).waitFor();
  }
  await look(page, "pin-wrong");
  await choosePin(page);

  await heading(page, "Connect with the computer");
  await look(page, "pair");
  await page.getByLabel("Or type the pairing code").fill("ABC 123");
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

  await press(page, "The computer took it");
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

test("pairing by the address of the picture: the code is filled in and leaves the address", standIn, async () => {
  const { page, context } = await person();
  server.pairings.add(PAIRING);
  await open(page, `#pair=${PAIRING.toLowerCase()}`);
  assert.equal(new URL(page.url()).hash, "");
  await heading(page, "Set up your token");
  await look(page, "welcome");
  await press(page, "Set up");
  await choosePin(page);
  await page.getByText("ABCD EFGH IJKL MNOP QRST UVWX 27").waitFor();
  await look(page, "pair-ready");
  await press(page, "Connect");
  await page.locator(".code").waitFor();
  await page.getByText("Type the passcode below into the page that showed the QR code.").waitFor();
  const id = await shownId(page);
  assert.equal(server.credentials.get(id).request.pairing_code, PAIRING);
  assert.equal(server.pairings.size, 0);
  await look(page, "codes-paired");

  // Used: the second time it is refused, in words.
  await press(page, "Add a token");
  await page.getByLabel("Or type the pairing code").fill(PAIRING);
  await press(page, "Connect");
  await page.getByText(/That pairing code does not work/).waitFor();
  await look(page, "pairing-unknown");
  await context.close();
});

test("a link with a pairing code in a browser tab says to install first, and hands the code along", standIn, async () => {
  const { page, context } = await person({ installed: false, userAgent: IPAD, viewport: TABLET });
  await open(page, `#pair=${PAIRING}`);
  await heading(page, "Install the app first");
  await page.getByText("Tap Share (the square with an arrow up).").waitFor();
  await press(page, "Copy pairing code");
  await page.getByText("Pairing code copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), PAIRING);
  await look(page, "install-ipad-paired");
  await context.close();
});

/** A film that shows a QR code, as Chromium's pretended camera plays it. */
async function filmOf(text, file) {
  const { stdout } = await run("qrencode", ["-t", "ASCIIi", "-m", "4", "-o", "-", text]);
  // Two characters a module; "i": dark ones are blanks.
  const rows = stdout.trimEnd().split("\n").map((row) => [...row].filter((_, at) => at % 2 === 0).map((it) => it === " "));
  const [width, height, scale] = [640, 480, Math.floor(440 / rows.length)];
  const luma = Buffer.alloc(width * height, 235);
  const [left, top] = [(width - rows.length * scale) >> 1, (height - rows.length * scale) >> 1];
  rows.forEach((row, y) => row.forEach((dark, x) => {
    if (!dark) return;
    for (let line = 0; line < scale; line += 1) luma.fill(16, (top + y * scale + line) * width + left + x * scale, (top + y * scale + line) * width + left + (x + 1) * scale);
  }));
  const frame = Buffer.concat([Buffer.from("FRAME\n"), luma, Buffer.alloc((width * height) / 2, 128)]);
  await writeFile(file, Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`), frame, frame]));
}

test("pairing by camera", standIn, async (t) => {
  try {
    await run("qrencode", ["--version"]);
  } catch {
    return t.skip("qrencode is not installed");
  }
  const folder = await mkdtemp(join(tmpdir(), "countersign-film-"));
  let seeing;
  /** A person whose camera sees a QR code, at the point of scanning it. */
  const scanning = async (text) => {
    const film = join(folder, "qr.y4m");
    await filmOf(text, film);
    await seeing?.close();
    seeing = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${film}`],
    });
    const { page } = await person({ from: seeing });
    await open(page);
    await press(page, "Set up");
    await choosePin(page);
    await press(page, "Scan the QR code");
    return page;
  };
  try {
    const foreign = await scanning(`https://other.example/authenticator/#pair=${PAIRING}`);
    await foreign.getByText("That QR code belongs to other.example. Open the app there.").waitFor();
    await look(foreign, "scan");
    const ended = await foreign.evaluateHandle(() => document.querySelector("video").srcObject.getTracks()[0]);
    await press(foreign, "Type the code instead");
    assert.equal(await ended.evaluate((track) => track.readyState), "ended", "the camera is off");

    const page = await scanning(`${server.origin}/authenticator/#pair=${PAIRING}`);
    await page.getByText(/That pairing code does not work/).waitFor();
    server.pairings.add(PAIRING);
    await press(page, "Scan the QR code");
    await page.locator(".code").waitFor();
    await assertRightCode(page, await shownId(page));
  } finally {
    await seeing?.close();
    await rm(folder, { recursive: true, force: true });
  }
  return undefined;
});

test("without a camera the code is typed, and the app says so", async () => {
  const { page, context } = await person();
  await context.clearPermissions();
  await open(page);
  await press(page, "Set up");
  await choosePin(page);
  await press(page, "Scan the QR code");
  await page.getByText(/(This app may not use the camera|No camera could be used)/).waitFor();
  await look(page, "no-camera");
  await context.close();
});

test("wrong PINs are counted over restarts, the tenth removes everything and says what was lost", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await page.reload();
  await heading(page, "Unlock");
  await look(page, "unlock");
  await unlock(page, "111111");
  await page.getByText("Wrong PIN. Tries left: 9.").waitFor();
  await look(page, "unlock-wrong");
  await page.reload();
  await page.getByText("Wrong PIN. Tries left: 9.").waitFor();
  for (let left = 8; left > 1; left -= 1) {
    await unlock(page, "111111");
    await page.getByText(`Wrong PIN. Tries left: ${left}.`).waitFor();
  }
  await unlock(page, "111111");
  await page.getByText("Wrong PIN. One try left, then the tokens are removed from this phone.").waitFor();
  await unlock(page, "111111");
  await page.getByRole("heading", { name: "The tokens were removed" }).waitFor();
  await look(page, "wiped");
  await page.reload();
  await page.getByRole("heading", { name: "The tokens were removed" }).waitFor();
  await context.close();
});

test("a right PIN sets the count back", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  await press(page, "Lock");
  await unlock(page, "111111");
  await page.getByText("Wrong PIN. Tries left: 9.").waitFor();
  await unlock(page);
  await page.locator(".code").waitFor();
  await assertRightCode(page, id);
  await press(page, "Lock");
  await heading(page, "Unlock");
  assert.equal(await page.getByText(/Tries left/).count(), 0);
  await context.close();
});

test("a passkey locks and unlocks", enrolls, async () => {
  const { page, context } = await person({ passkey: true });
  await open(page);
  await press(page, "Set up");
  await heading(page, "How do you want to unlock?");
  await look(page, "lock");
  await press(page, "Use face, fingerprint or screen lock");
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  const id = await shownId(page);
  await page.reload();
  await heading(page, "Unlock");
  await look(page, "unlock-passkey");
  await press(page, "Unlock with your passkey");
  await page.locator(".code").waitFor();
  await assertRightCode(page, id);

  await context.close();
});

test("a device whose passkeys give no key falls back to a PIN, and says so", async () => {
  const { page, context } = await person({ passkey: { hasPrf: false } });
  await open(page);
  await press(page, "Set up");
  await press(page, "Use face, fingerprint or screen lock");
  await heading(page, "Choose a PIN");
  await page.getByText("Passkeys on this phone cannot lock this app. Use a PIN.").waitFor();
  await look(page, "passkey-unable");
  await context.close();
});

test("a person whom the passkey does not know stays out", enrolls, async () => {
  const { page, context, cdp, authenticatorId } = await person({ passkey: true });
  await open(page);
  await press(page, "Set up");
  await press(page, "Use face, fingerprint or screen lock");
  await press(page, "Set up without a code");
  await page.locator(".code").waitFor();
  await press(page, "Lock");
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await press(page, "Unlock with your passkey");
  await page.getByText("The passkey was not confirmed. Try again.").waitFor();
  await look(page, "unlock-refused");
  assert.equal(await page.locator(".code").count(), 0);
  await context.close();
});

test("the keys are dropped after a minute out of sight, and not before", enrolls, async () => {
  const { page, context } = await person();
  // Neither of the two is in the app: the clock is Playwright's, and a tab without a window is never hidden.
  await page.clock.install();
  await page.addInitScript(() => {
    let hidden = false;
    Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
    globalThis.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
  });
  await enroll(page);
  await page.evaluate(() => globalThis.hide(true));
  await page.clock.fastForward(59_000);
  await page.evaluate(() => globalThis.hide(false));
  assert.equal(await page.locator(".code").count(), 1);
  await page.evaluate(() => globalThis.hide(true));
  await page.clock.fastForward(60_100);
  await heading(page, "Unlock");
  assert.equal(await page.locator(".digits").count(), 0, "no code is left on the page");
  await page.evaluate(() => globalThis.hide(false));
  await heading(page, "Unlock");
  await context.close();
});

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
    ["full", /The server takes no new tokens right now/],
    ["too_many", /Too many set-ups at once/],
    ["version_unknown", /This app is out of date/],
    ["pairing_malformed", /A pairing code has 26 characters/],
    ["something_else", /The server gave an answer that this app does not understand/],
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
  await page.getByText(/The token could not be stored, so it was not added/).waitFor();
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
    await page.getByText(/The server takes no new tokens/).waitFor();
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

test("several tokens: named, renamed, removed with a word on what is lost", standIn, async () => {
  const { page, context } = await person({ viewport: TABLET, userAgent: IPAD });
  const first = await enroll(page);
  assert.equal(server.credentials.get(first).request.device_class, "tablet");
  await press(page, "Add a token");
  await press(page, "Set up without a code");
  await page.locator(".code").nth(1).waitFor();
  const second = await shownId(page, 1);
  await assertRightCode(page, first, 0);
  await assertRightCode(page, second, 1);
  const boxes = await page.locator(".token").evaluateAll((all) => all.map((it) => it.getBoundingClientRect().left));
  assert.ok(boxes[1] > boxes[0], "side by side");
  await look(page, "tablet");

  await press(page, "Rename Token 2");
  await page.getByLabel("Name", { exact: true }).fill(" ");
  await press(page, "Save");
  await page.getByText("A name has 1 to 40 characters.").waitFor();
  await look(page, "rename");
  await page.getByLabel("Name", { exact: true }).fill("Ward <b>tablet</b>");
  await press(page, "Save");
  await page.getByRole("heading", { level: 2, name: "Ward <b>tablet</b>" }).waitFor();

  const spaced = (id) => id.replace(/(.{4})(?=.)/g, "$1 ");
  await press(page, `Remove Ward <b>tablet</b>, ${spaced(second)}`);
  await page.getByText(`You lose the passcodes of Ward <b>tablet</b>, credential ID ${spaced(second)}.`).waitFor();
  assert.equal(await page.getByText("This is the only token in this app.").count(), 0);
  await press(page, "Cancel");
  await press(page, `Remove Ward <b>tablet</b>, ${spaced(second)}`);
  await press(page, `Remove ${spaced(second)}`);
  await page.locator(".code").nth(1).waitFor({ state: "detached" });
  await press(page, `Remove Token 1, ${spaced(first)}`);
  await page.getByText("This is the only token in this app.").waitFor();
  await look(page, "remove-last");
  await press(page, `Remove ${spaced(first)}`);
  await heading(page, "Set up your token");
  // The lock went with the last token.
  await page.reload();
  await heading(page, "Set up your token");
  await context.close();
});

test("starting over without the PIN names what is lost", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  await press(page, "Lock");
  await press(page, "Start over");
  await page.getByText(id.replace(/(.{4})(?=.)/g, "$1 ")).waitFor();
  await look(page, "start-over");
  await press(page, "Remove all tokens");
  await heading(page, "Set up your token");
  await context.close();
});

test("help and settings; the way back; Spanish, remembered", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await press(page, "Help and settings");
  await heading(page, "Help and settings");
  await page.getByText(/^This phone's clock is right\. Checked /).waitFor();
  await look(page, "more");
  await press(page, "Moving to a new phone");
  await page.getByText("Choose \"I have both phones here\", then Show pairing code.").waitFor();
  await look(page, "moving");
  await page.goBack();
  await heading(page, "Help and settings");
  await press(page, "How to install");
  await page.getByText("You are in the installed app.").waitFor();
  await press(page, "Back");
  await page.getByLabel("Language").selectOption("es");
  await heading(page, "Ayuda y configuración");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "es");
  await look(page, "more-es");
  await press(page, "Atrás");
  await page.locator(".code").waitFor();
  await look(page, "codes-es");
  await page.reload();
  await heading(page, "Desbloquear");
  await look(page, "unlock-es");
  await context.close();
});

test("Spanish where the phone speaks it", enrolls, async () => {
  const { page, context } = await person({ locale: "es-MX", installed: false });
  await open(page);
  await heading(page, "Primero instale la app");
  await look(page, "install-es");
  await press(page, "Seguir sin instalar");
  await look(page, "risk-es");
  await press(page, "Configurar");
  await look(page, "pin-es");
  await page.getByLabel("PIN", { exact: true }).fill(PIN);
  await page.getByLabel("Repita el PIN").fill(PIN);
  await press(page, "Guardar");
  await heading(page, "Conecte con la computadora");
  await look(page, "pair-es");
  await press(page, "Configurar sin código");
  await page.locator(".code").waitFor();
  await look(page, "codes-first-es");
  await page.getByRole("button", { name: /^Eliminar/ }).click();
  await look(page, "remove-es");
  await context.close();
});

test("watch-sized: one code and its ring, nothing to scroll", enrolls, async () => {
  const { page, context } = await person();
  const first = await enroll(page);
  const fits = (sizes) => page.evaluate(([width, height]) => {
    const box = (of) => of.getBoundingClientRect();
    const inside = (it) => it.left >= 0 && it.top >= 0 && it.right <= width && it.bottom <= height;
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((it) => it.checkVisibility());
    const [digits] = shown(".digits");
    const [ring] = shown(".ring");
    const groups = [...digits.children].map(box);
    const circle = box(ring);
    const middle = [circle.left + circle.width / 2, circle.top + circle.height / 2];
    const corner = Math.max(...groups.flatMap((it) => [[it.left, it.top], [it.right, it.top], [it.left, it.bottom], [it.right, it.bottom]])
      .map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])));
    return {
      codes: shown(".digits").length,
      rings: shown(".ring").length,
      inside: inside(circle) && groups.every(inside) && shown("button").every((it) => inside(box(it))),
      within: corner < circle.width / 2,
      buttons: shown("button").length,
      digitHeight: groups[0].height,
      scrolls: document.documentElement.scrollHeight > height || document.documentElement.scrollWidth > width || document.querySelector("#app").scrollHeight > height,
    };
  }, sizes);
  const check = async (buttons) => {
    for (const [width, height] of WATCHES) {
      await page.setViewportSize({ width, height });
      const it = await fits([width, height]);
      const where = `${width} x ${height}`;
      assert.deepEqual([it.codes, it.rings, it.buttons], [1, 1, buttons], where);
      assert.ok(it.inside && it.within, `${where}: something is cut off or crosses the ring`);
      assert.ok(it.digitHeight >= 30, `${where}: digits of ${it.digitHeight} px`);
      assert.equal(it.scrolls, false, `${where} scrolls`);
      await look(page, `watch-${width}-${buttons}`);
    }
    await page.setViewportSize(PHONE);
  };
  await check(1);
  await press(page, "Add a token");
  await press(page, "Set up without a code");
  await page.locator(".code").nth(1).waitFor();
  const second = await shownId(page, 1);
  await check(2);
  await page.setViewportSize({ width: 198, height: 242 });
  await assertRightCode(page, first, 0);
  await page.getByRole("button", { name: "Token 1. Next token" }).click();
  assert.deepEqual(await page.locator(".digits").evaluateAll((all) => all.map((it) => it.checkVisibility())), [false, true]);
  await assertRightCode(page, second, 1);
  await press(page, "Token 2. Next token");
  assert.deepEqual(await page.locator(".digits").evaluateAll((all) => all.map((it) => it.checkVisibility())), [true, false]);
  await context.close();
});

test("at 200 % zoom and with forced colors nothing is lost", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await page.setViewportSize({ width: 195, height: 422 });
  await look(page, "zoom");
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ forcedColors: "active" });
  await look(page, "forced-colors");
  const widths = await page.locator(".ring-arc, .ring-track").evaluateAll((all) => all.map((it) => getComputedStyle(it).stroke));
  assert.notEqual(widths[0], widths[1], "the arc differs from its track");
  await context.close();
});

test("by keyboard alone, from the unlock screen to a copied code", enrolls, async () => {
  const { page, context } = await person();
  await enroll(page);
  await press(page, "Lock");
  await heading(page, "Unlock");
  await page.keyboard.type(PIN);
  await page.keyboard.press("Enter");
  await page.locator(".code").waitFor();
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.classList.contains("code"))) break;
  }
  assert.ok(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none"), "the focus is visible");
  await page.keyboard.press("Enter");
  await page.getByText("Passcode copied").waitFor();
  await context.close();
});

test("no screen has a serious finding, and no page complained", () => {
  assert.deepEqual(findings, []);
});
