// What the browser tests share: a demo server of their own, Debian's Chromium, tokens, and the
// checks that every page has to pass.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const binary = process.env.COUNTERSIGN_BIN ?? join(root, "target/debug/countersign");
const screenshots = process.env.SCREENSHOTS === "1" ? join(root, "docs/screenshots") : null;

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
/** The pictures of the documentation, smaller so that each stays under 100 kB. */
const PICTURES = [["phone", { width: 390, height: 780 }], ["desktop", { width: 1120, height: 740 }]];

/** Seconds of one TOTP step; the demo's tokens all use the default. */
const STEP = 30;
const stepNow = () => Math.floor(Date.now() / 1000 / STEP);

/** Waits until tokens show a code that they did not show when this was called. */
export async function waitNextStep() {
  const next = (stepNow() + 1) * STEP * 1000;
  // A little later than the change, so that the server's clock has passed it too.
  await sleep(next - Date.now() + 200);
}

/** Runs a token command and returns the digits of the code that it prints. */
export async function code(command) {
  const { stdout } = await run("sh", ["-c", command], { cwd: root });
  const digits = stdout.match(/(?<!\d)(\d{3}) ?(\d{3})(?!\d)/);
  if (!digits) throw new Error(`no six-digit code in the output of "${command}": ${stdout}`);
  return digits[1] + digits[2];
}

/**
 * A token as its owner sees it. The owner never types the same code twice: `fresh` waits for the
 * next one where the current code was handed out before.
 */
export class Token {
  #command;
  #lastStep = 0;

  constructor(command, { id = null, name = null } = {}) {
    this.#command = command;
    this.id = id;
    this.name = name;
  }

  /** Whether `fresh` would answer at once. */
  get ready() {
    return stepNow() > this.#lastStep;
  }

  /** A code that was not handed out before. */
  async fresh() {
    if (!this.ready) await waitNextStep();
    for (;;) {
      const step = stepNow();
      const digits = await code(this.#command);
      // The command may have run across a change of steps: then nobody knows which one this is.
      if (step === stepNow()) {
        this.#lastStep = step;
        return digits;
      }
    }
  }
}

/** The token of a paired phone: the code that the app shows, never the one it showed before. */
export class PhoneToken {
  #last = null;
  constructor(page) { this.page = page; }
  async fresh() {
    for (;;) {
      const digits = (await this.page.locator(".digits").first().innerText()).replace(/\s/g, "");
      if (/^\d{6}$/.test(digits) && digits !== this.#last) {
        this.#last = digits;
        return digits;
      }
      await waitNextStep();
    }
  }
}

/** The first of the tokens that has a fresh code now, else the first one. */
export const handiest = (tokens) => tokens.find((token) => token.ready) ?? tokens[0];

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The first of some free ports in a row. */
export async function freePorts(count) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const servers = [];
    try {
      for (let port = first; port < first + count; port += 1) {
        const server = createServer();
        server.listen(port, "127.0.0.1");
        servers.push(server);
        await once(server, "listening");
      }
      return first;
    } catch {
      // One of them is taken: try others.
    } finally {
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    }
  }
  throw new Error("no free ports on 127.0.0.1");
}

/** Starts `countersign demo` on free ports, with its data in a new folder. */
export async function startDemo() {
  const folder = await mkdtemp(join(tmpdir(), "countersign-e2e-"));
  const data = join(folder, "data");
  const port = await freePorts(4);
  const child = spawn(binary, ["demo", "--data", data, "--port", String(port)], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => { output = (output + text).slice(-20_000); });
  }
  let ended = null;
  // Whatever ends this process, the server does not outlive it.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exit = new Promise((done) => {
    child.once("error", (error) => { ended = error.message; done(); });
    child.once("exit", (status, signal) => {
      ended = `exit ${status ?? signal}`;
      process.off("exit", kill);
      done();
    });
  });

  const stop = async () => {
    if (ended === null) {
      child.kill("SIGTERM");
      const late = new AbortController();
      await Promise.race([
        exit,
        sleep(10_000, null, { signal: late.signal }).then(() => child.kill("SIGKILL"), () => {}),
      ]);
      late.abort();
      await exit;
    }
    await rm(folder, { recursive: true, force: true });
  };

  try {
    const deadline = Date.now() + 60_000;
    for (;;) {
      if (ended !== null) throw new Error(`the demo did not start (${ended}):\n${output}`);
      if (Date.now() > deadline) throw new Error(`the demo was not ready in time:\n${output}`);
      try {
        const facts = JSON.parse(await readFile(join(data, "demo.json"), "utf8"));
        const origin = new URL(facts.portal_url).origin;
        const ready = await fetch(`${origin}/readyz`);
        await ready.body?.cancel();
        const chart = await fetch(facts.chart_url);
        await chart.body?.cancel();
        if (ready.ok && chart.ok) {
          return {
            facts,
            data,
            origin,
            ehr: new URL(facts.chart_url).origin,
            firstToken: new Token(facts.token_command),
            newToken: (name, family) => newToken(origin, name, family, join(folder, "tokens")),
            output: () => output,
            stop,
          };
        }
      } catch {
        // Not there yet.
      }
      await sleep(100);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Makes a soft token on "another device": the terminal's, in a store of its own. */
async function newToken(server, name, family, stores) {
  const store = join(stores, name.replace(/\W+/g, "-").toLowerCase());
  await mkdir(store, { recursive: true, mode: 0o700 });
  const pin = "482915";
  const { stdout } = await run(
    binary,
    ["token", "new", "--server", server, "--name", name, "--family", family ?? "countersign", "--dir", store],
    { cwd: root, env: { ...process.env, COUNTERSIGN_TOKEN_PIN: pin } },
  );
  const id = stdout.match(/Credential ID\s+([A-Z]+[\d -]*\d)/)?.[1].replace(/[ -]/g, "");
  if (!id) throw new Error(`no credential ID in the output of "token new": ${stdout}`);
  const command = `COUNTERSIGN_TOKEN_PIN=${pin} ${quoted(binary)} token code --plain --dir ${quoted(store)}`;
  return new Token(command, { id, name });
}

/** A soft token of the terminal's, made at any server; kept below a folder. */
export const tokenAt = (origin, name, folder) => newToken(origin, name, null, join(folder, "tokens"));

/** Whether a server speaks version 1 of provisioning; one that doesn't stumbles over the field. */
export async function speaksProvisioning(origin) {
  const response = await fetch(`${origin}/provision/v1/credentials`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ version: 1, device_key: "AA" }),
  });
  return (await response.json()).code === "key_malformed";
}

export async function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A person at a browser of their own: a page without cookies. `complaints` collects what the
 * browser says against our pages (script errors, refused by the content security policy, files
 * not found); a test ends by checking that it is empty. With `cookies`, the person goes on with a
 * session that another test began.
 */
export async function newPerson(browser, { javaScript = true, cookies = [] } = {}) {
  const context = await browser.newContext({
    javaScriptEnabled: javaScript,
    viewport: DESKTOP,
    reducedMotion: "reduce",
    locale: "en-US",
    timezoneId: "America/New_York",
  });
  await context.addCookies(cookies);
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    // A form that comes back with an error has a 4xx status, which Chromium reports as well.
    const ours = /Failed to load resource/.test(message.text())
      ? new URL(message.location().url || "about:blank").pathname.startsWith("/static/")
      : true;
    if (ours && ["error", "warning"].includes(message.type())) {
      complaints.push(`${message.type()} on ${page.url()}: ${message.text()}`);
    }
  });
  return { context, page, complaints };
}

const ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";

/** A phone that takes the page for the installed app. What its pages complain of goes to `complaints`. */
export async function newPhone(browser, complaints) {
  const context = await browser.newContext({ viewport: PHONE, screen: PHONE, userAgent: ANDROID, isMobile: true, hasTouch: true, locale: "en-US", reducedMotion: "reduce" });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(() => {
    const { matchMedia } = globalThis;
    globalThis.matchMedia = (query) => matchMedia(query.replace("(display-mode: standalone)", "all"));
    StorageManager.prototype.persisted = async () => true;
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    if (/Failed to load resource|net::ERR_/.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  return { context, page };
}

const jsQR = createRequire(join(import.meta.dirname, "../authenticator/package.json"))("jsqr");

/** What a QR code on a page says, read from the screen. */
export async function readQr(image) {
  const { data, width, height } = await image.evaluate(async (it) => {
    await it.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [480, 480];
    const context = canvas.getContext("2d");
    context.drawImage(it, 0, 0, 480, 480);
    const { data, width, height } = context.getImageData(0, 0, 480, 480);
    return { data: [...data], width, height };
  });
  return jsQR(Uint8ClampedArray.from(data), width, height)?.data;
}

const axeSource = await readFile(
  join(import.meta.dirname, "../node_modules/axe-core/axe.min.js"),
  "utf8",
);

/** Accessibility findings that are serious or critical, a line each. Needs a page with scripts. */
export async function axe(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter((it) => it.impact === "serious" || it.impact === "critical")
    .map((it) => `${it.impact} ${it.id}: ${it.help}: ${it.nodes.map((node) => node.html).join(" | ")}`);
}

/** Writes NAME-desktop.png and NAME-phone.png, only when SCREENSHOTS=1. */
export async function shot(page, name) {
  if (!screenshots) return;
  await mkdir(screenshots, { recursive: true });
  for (const [device, size] of PICTURES) {
    await page.setViewportSize(size);
    const picture = await page.screenshot({ animations: "disabled", caret: "hide" });
    await writeFile(join(screenshots, `${name}-${device}.png`), picture);
  }
  await page.setViewportSize(DESKTOP);
}

/** Writes NAME.png of a page at one size, only when SCREENSHOTS=1. */
export async function shotAt(page, name, size) {
  if (!screenshots) return;
  await mkdir(screenshots, { recursive: true });
  const before = page.viewportSize();
  await page.setViewportSize(size);
  await writeFile(join(screenshots, `${name}.png`), await page.screenshot({ animations: "disabled", caret: "hide" }));
  await page.setViewportSize(before);
}

/**
 * Looks at a page as each of its readers gets it: no serious accessibility finding at either size
 * and in either color scheme, one main heading, nothing cut off on a phone. Returns what is wrong,
 * a line each.
 */
export async function inspect(page, name) {
  const wrong = [];
  const note = (where, lines) => wrong.push(...lines.map((line) => `${name}, ${where}: ${line}`));
  const shape = await page.evaluate(() => ({
    headings: document.querySelectorAll("h1").length,
    title: document.title,
    language: document.documentElement.lang,
    inline: document.querySelectorAll("[style], style, script:not([src])").length,
  }));
  if (shape.headings !== 1) note("shape", [`${shape.headings} main headings`]);
  if (!shape.title) note("shape", ["no title"]);
  if (shape.language !== "en") note("shape", ["no language"]);
  if (shape.inline) note("shape", [`${shape.inline} inline scripts or styles`]);

  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    note(`desktop, ${colorScheme}`, await axe(page));
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  note("phone", await axe(page));
  // 320 px is also what 400 % zoom leaves of a desktop (WCAG 1.4.10).
  for (const size of [PHONE, { width: 320, height: 640 }]) {
    await page.setViewportSize(size);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > size.width) note(`${size.width} px`, [`${width} px wide: the page scrolls sideways`]);
  }
  await page.setViewportSize(DESKTOP);
  return wrong;
}
