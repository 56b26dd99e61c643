// Pairing: by the address of a picture, by camera, by hand.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { assertRightCode, choosePin, heading, IPAD, look, open, PAIRING, person, press, run, server, shownId, standIn, TABLET } from "./support.mjs";

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
  await page.getByText("Enter the passcode below on the page that showed the QR code.").waitFor();
  const id = await shownId(page);
  assert.equal(server.credentials.get(id).request.pairing_code, PAIRING);
  assert.equal(server.pairings.size, 0);
  await look(page, "codes-paired");

  // Used: the second time it is refused, in words.
  await press(page, "Add a token");
  await page.getByLabel("Or enter the pairing code").fill(PAIRING);
  await press(page, "Connect");
  await page.getByText(/This pairing code is not valid/).waitFor();
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
    await foreign.getByText("This QR code belongs to other.example. Open the app there.").waitFor();
    await look(foreign, "scan");
    const ended = await foreign.evaluateHandle(() => document.querySelector("video").srcObject.getTracks()[0]);
    await press(foreign, "Enter the code instead");
    assert.equal(await ended.evaluate((track) => track.readyState), "ended", "the camera is off");

    const page = await scanning(`${server.origin}/authenticator/#pair=${PAIRING}`);
    await page.getByText(/This pairing code is not valid/).waitFor();
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
  await page.getByText(/(This app has no permission to use the camera|No camera available)/).waitFor();
  await look(page, "no-camera");
  await context.close();
});
