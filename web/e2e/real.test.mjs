// A real installation, as its operator founds it: two people of a new practice, e-mail to a real SMTP
// server, text messages to a real receiver of webhooks, identities from a real OpenID provider. All on
// loopback; none of the three was written here but the receiver.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { SMTPServer } from "smtp-server";
import { freePorts, launchBrowser, newPerson, tokenAt } from "./support.mjs";
import { field, follow, heading, press } from "./people.mjs";

/** A last day that a registration can have: in two years. */
const LAST_DAY = `${new Date().getFullYear() + 2}-05-31`;

const run = promisify(execFile);
const binary = process.env.COUNTERSIGN_BIN ?? resolve(import.meta.dirname, "../../target/debug/countersign");
const PASSPHRASE = "copper lantern over nine rivers";
const key = randomBytes(32);
const mails = [];
const texts = [];
const badTexts = [];
const complaints = [];
let folder;
let origin;
let browser;
let server;
let refusedOnce = false;
const closers = [];

async function waitFor(list, fits, what) {
  for (let tries = 0; tries < 160; tries += 1) {
    const found = list.findLast(fits);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`${what} did not come; there are: ${JSON.stringify(list).slice(0, 3000)}`);
}

async function mailServer(port) {
  const smtp = new SMTPServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    logger: false,
    onData(stream, session, callback) {
      let text = "";
      stream.on("data", (chunk) => { text += chunk; });
      stream.on("end", () => {
        // The first try of all meets a server that has no room: it must come again.
        if (!refusedOnce) {
          refusedOnce = true;
          return callback(Object.assign(new Error("no room now"), { responseCode: 452 }));
        }
        mails.push({ from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map((it) => it.address), text: text.replaceAll("=\r\n", "").replaceAll("=3D", "=") });
        return callback();
      });
    },
  });
  await new Promise((done) => smtp.listen(port, "127.0.0.1", done));
  closers.push(() => new Promise((done) => smtp.close(done)));
}

/** The receiver of webhooks: takes what is signed with the key, and nothing else. */
async function receiver(port) {
  const http = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const [, at, tag] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(request.headers["countersign-signature"] ?? "") ?? [];
    const right = createHmac("sha256", key).update(`${at}.${body}`).digest("hex");
    const fresh = Math.abs(Date.now() / 1000 - Number(at)) < 60;
    if (tag === right && fresh) texts.push(JSON.parse(body));
    else badTexts.push(body);
    response.writeHead(tag === right && fresh ? 204 : 401).end();
  });
  http.listen(port, "127.0.0.1");
  await once(http, "listening");
  closers.push(() => new Promise((done) => http.close(done)));
}

/** node-oidc-provider, a certified implementation, with made-up accounts. */
async function openIdProvider(port) {
  const { default: Provider } = await import("oidc-provider");
  const issuer = `http://127.0.0.1:${port}`;
  const ben = { given_name: "BEN", family_name: "Castillo", birthdate: "1971-05-17", ial: "2", npi: "1234567893" };
  const accounts = { ben, weak: { ...ben, ial: "1" }, henry: { ...ben, given_name: "Henry", family_name: "Stone", npi: "1000000004" } };
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "countersign",
      client_secret: "a secret of the tests & only theirs",
      redirect_uris: [`${origin}/proofing/return`],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_basic",
    }],
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], profile: ["given_name", "family_name", "birthdate", "ial", "npi"], address: ["address"] },
    findAccount: async (_, id) => accounts[id] && ({ accountId: id, claims: async () => ({ sub: id, ...accounts[id] }) }),
    cookies: { keys: ["tests"] },
  });
  provider.on("server_error", (_, error) => complaints.push(`the provider: ${error.message}`));
  const http = createServer(provider.callback());
  http.listen(port, "127.0.0.1");
  await once(http, "listening");
  closers.push(() => new Promise((done) => { http.closeAllConnections(); http.close(done); }));
  return issuer;
}

const countersign = async (...args) => (await run(binary, ["--config", join(folder, "countersign.toml"), ...args], { cwd: folder })).stdout;

before(async () => {
  const port = await freePorts(4);
  origin = `http://127.0.0.1:${port}`;
  folder = await mkdtemp(join(tmpdir(), "countersign-real-"));
  const secret = (name, text) => writeFile(join(folder, name), text, { mode: 0o600 });
  await mailServer(port + 1);
  await receiver(port + 2);
  const issuer = await openIdProvider(port + 3);
  await secret("webhook.key", `${key.toString("hex")}\n`);
  await secret("provider.json", JSON.stringify({ name: "Clinician ID", issuer, client_id: "countersign", client_secret: "a secret of the tests & only theirs" }));
  await secret("countersign.toml", [
    "[server]", `listen = "127.0.0.1:${port}"`, `public_url = "${origin}"`,
    "[database]", `path = "${folder}/data/countersign.db"`,
    "[keys]", `master_key_file = "${folder}/data/master.key"`,
    "[notices]", `smtp = "127.0.0.1:${port + 1}"`, 'from = "countersign@lakeside.example"',
    `webhook_url = "http://127.0.0.1:${port + 2}/messages"`, `webhook_key_file = "${folder}/webhook.key"`,
    "[proofing]", `provider_files = ["${folder}/provider.json"]`, "",
  ].join("\n"));
  await secret("founders.json", JSON.stringify({
    people: [
      { given: "Ruth", family: "Okafor", email: "ruth@lakeside.example", phone: "402 555 0102" },
      { given: "Ben", family: "Castillo", email: "ben@lakeside.example", phone: "402 555 0103", npi: "1234567893",
        dea: ["BC1234563", "NE", "2 2N 3 3N 4 5", LAST_DAY], licence: ["NE", "NE-1", LAST_DAY] },
    ],
    providers: [[issuer, "2 3"]],
  }));
  await countersign("migrate");
  await countersign("admin", "models", "set", "--code", "countersign-terminal", "--maker", "Countersign", "--name", "terminal token",
    "--kind", "soft", "--fips", "none", "--allow-signing", "yes", "--note", "for the tests", "--by", "the tests");
  server = spawn(binary, ["--config", join(folder, "countersign.toml"), "serve"], { cwd: folder, stdio: "ignore" });
  for (let tries = 0; ; tries += 1) {
    const ready = await fetch(`${origin}/readyz`).catch(() => null);
    await ready?.body?.cancel();
    if (ready?.ok) break;
    if (tries > 200) throw new Error("the server did not start");
    await new Promise((done) => setTimeout(done, 100));
  }
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  if (server) {
    server.kill("SIGTERM");
    await once(server, "exit");
  }
  for (const close of closers) await close();
  await rm(folder, { recursive: true, force: true });
});

let links;

test("the operator founds a practice, with its two people, once", async () => {
  const practice = (await countersign("admin", "practice", "--name", "Lakeside Clinic")).trim().split(" ").at(-1);
  const found = () => countersign("admin", "found", "--practice", practice, "--setting", "practitioners", "--file", join(folder, "founders.json"));
  const said = await found();
  links = [...said.matchAll(/http:\S+\/invitation\/\S+/g)].map(([link]) => link);
  assert.equal(links.length, 2, said);
  await assert.rejects(found(), /already set up/);
});

/** Terms, data, and a code by text message. */
async function begin(link, number, born) {
  const { page, complaints: own } = await newPerson(browser);
  complaints.push(own);
  page.setDefaultTimeout(15_000);
  await page.goto(link);
  await press(page, "Get started");
  for (const text of ["I will keep my token", "I will report a lost", "Before I sign, I will read the audit or certification report"]) await page.getByLabel(text).check();
  await press(page, "I agree");
  if (born) await field(page, "Date of birth").fill(born);
  await press(page, "Next");
  await heading(page, "Verify your identity").waitFor();
  return { page, number };
}

async function confirm({ page, number }) {
  const known = texts.length;
  await press(page, "Send code");
  await page.getByText("A code was sent to your phone.").waitFor();
  const message = await waitFor(texts, (it, at) => at >= known && it.to === number && it.kind === "code_text", "a text message");
  await field(page, "Code").fill(/code for Lakeside Clinic: (\w{4} \w{4})/.exec(message.text)[1]);
  await press(page, "Confirm");
}

async function finish({ page }, name, npi) {
  await heading(page, "Your token").waitFor();
  const token = await tokenAt(origin, name, folder);
  await field(page, "Token Name").fill(name);
  await page.locator("#credential_id").fill(token.id);
  await page.locator("#otp").fill(await token.fresh());
  await press(page, "Save");
  await field(page, "Passphrase").fill(PASSPHRASE);
  await field(page, "Confirm passphrase").fill(PASSPHRASE);
  await press(page, "Set passphrase");
  await page.getByText("Your passphrase is set.").waitFor();
  await page.getByLabel(/^NPI/).fill(npi);
  await field(page, "Passphrase").fill(PASSPHRASE);
  await press(page, "Next");
  await field(page, "Passcode").fill(await token.fresh());
  await press(page, "Sign in");
  await page.getByText("Active tokens").waitFor();
  return token;
}

let ruth;

test("the first one administers: known to the practice, confirmed by a text message", async () => {
  ruth = await begin(links[0], "+14025550102");
  await confirm(ruth);
  ruth.token = await finish(ruth, "Office phone", "ruth@lakeside.example");
  const mail = await waitFor(mails, (it) => it.to.includes("ruth@lakeside.example") && /The token "Office phone" was added/.test(it.text), "an e-mail");
  assert.equal(mail.from, "countersign@lakeside.example");
  assert.match(mail.text, /^Subject: A token was added$/m);
  assert.match(mail.text, /\/not-me\/[\w-]{43}/);
  assert.doesNotMatch(mails.map((it) => it.text).join("\n"), /code for|passphrase is/i, "no code goes by e-mail");
});

async function goAs(page, account) {
  await press(page, "Verify your identity with Clinician ID");
  await page.locator("input[name=login]").fill(account);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  const consent = page.locator("form button[type=submit]");
  await page.waitForLoadState();
  if (!page.url().startsWith(origin)) await consent.click();
  await page.waitForURL(/\/(enrol|proofing\/finish)/);
  await page.context().clearCookies({ domain: "127.0.0.1", name: /^_(session|interaction|grant)/ });
}

// Shows: R-1311.105-a1, R-1311.105-b, A5
test("the second one prescribes: proofed by a real OpenID provider", async () => {
  const ben = await begin(links[1], "+14025550103", "1971-05-17");
  const { page } = ben;
  await goAs(page, "weak");
  await page.getByText("identity check was not strong enough").waitFor();
  await goAs(page, "henry");
  await page.getByText("The provider verified a different person.").waitFor();
  await goAs(page, "ben");
  await page.getByText("Your identity is not verified yet. See below what is still needed.").waitFor();
  await confirm(ben);
  ben.token = await finish(ben, "Ben's phone", "1234567893");
  await follow(page, "Activate");
  const known = texts.length;
  await press(page, "Send code");
  const message = await waitFor(texts, (it, at) => at >= known && it.kind === "code_text", "an activation code");
  await field(page, "Activation code").fill(/: (\w{4} \w{4})/.exec(message.text)[1]);
  await press(page, "Activate");
  await page.getByText("Token activated for signing.").waitFor();

  // One enters and has looked; in a practice with one registrant he executes his own (question A9).
  await ruth.page.goto(`${origin}/practice`);
  await follow(ruth.page, "Ben Castillo");
  await field(ruth.page, "Reason").first().fill("The first grant here");
  await press(ruth.page, "Request permission");
  await ruth.page.getByText("Another person must now approve it.").waitFor();
  await page.goto(`${origin}/practice`);
  await page.getByRole("link", { name: /Ben Castillo: permission to sign/ }).click();
  await field(page, "Passphrase").fill(PASSPHRASE);
  await field(page, "Passcode from that token").fill(await ben.token.fresh());
  await press(page, "Approve");
  await page.getByText("May sign, granted by the registration holder").first().waitFor();
});

test("what a server refused for the moment came again, and nothing unsigned was sent", async () => {
  assert.equal(refusedOnce, true);
  await waitFor(mails, (it) => /Lakeside Clinic invites you/.test(it.text), "the invitation, which was refused at first");
  assert.deepEqual(badTexts, []);
  assert.equal(new Set(texts.map((it) => it.id)).size, texts.length, "each message once");
  assert.deepEqual(complaints.flat(), []);
});
