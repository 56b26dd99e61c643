// SMART on FHIR with clients that were not written here: npm fhirclient in a browser, on an origin of its
// own, launched from the EHR's charts alone; and our own app, launched from the chart's tab.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { freePorts, launchBrowser, newPerson, startDemo } from "./support.mjs";
import { follow, heading, looker } from "./people.mjs";

const run = promisify(execFile);
const demo = await startDemo();
const findings = [];
const look = looker(findings);
let browser;
let app;
let server;

/** The pages of an app that uses fhirclient: one that sets out, one that comes back and reads. */
async function serveApp() {
  const client = await readFile(join(import.meta.dirname, "../node_modules/fhirclient/build/fhir-client.min.js"));
  const page = (script) => `<!doctype html><html lang="en"><title>App</title><h1>App</h1><pre id="said"></pre><script src="/fhir-client.js"></script><script>${script}</script></html>`;
  const iss = `${demo.ehr}/fhir`;
  const start = page(`FHIR.oauth2.authorize({ iss: ${JSON.stringify(iss)}, clientId: "try-out", scope: "launch/patient openid fhirUser patient/*.rs", redirectUri: "back.html", pkceMode: "required" })`);
  const back = page(`
    const say = (it) => { document.querySelector("#said").textContent = JSON.stringify(it); };
    FHIR.oauth2.ready().then(async (client) => {
      const list = async (kind) => (await client.request(kind + "?patient=" + client.patient.id)).entry.map((it) => it.resource);
      say({
        patient: await client.patient.read(),
        allergies: await list("AllergyIntolerance"),
        problems: await list("Condition"),
        orders: await list("MedicationRequest"),
        user: await client.user.read(),
        other: await client.request("Patient/p-1001").then((it) => it.id, (error) => error.status ?? String(error)),
      });
    }).catch((error) => say({ error: String(error) }));`);
  const port = await freePorts(1);
  const launch = `${demo.origin}/launch?token=a.b.c`;
  // What another site can do with a launch address: show it as a picture, link to it, send a form there.
  const others = {
    "/picture": `<!doctype html><title>Elsewhere</title><img src="${launch}" alt="">`,
    "/link": `<!doctype html><title>Elsewhere</title><a href="${launch}">Open</a>`,
    "/form": `<!doctype html><title>Elsewhere</title><form method="post" action="${launch}"><button>Open</button></form>`,
  };
  server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    const [type, body] = path in others ? ["text/html", others[path]] : path === "/fhir-client.js" ? ["text/javascript", client] : path === "/back.html" ? ["text/html", back] : path === "/" ? ["text/html", start] : ["text/plain", ""];
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(body);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${port}`;
}

before(async () => {
  browser = await launchBrowser();
  app = await serveApp();
});
after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
  await demo.stop();
});

test("fhirclient authorizes, reads what its patient's chart says, and nothing of another's", async () => {
  const { page, context } = await newPerson(browser);
  await page.goto(app);
  await heading(page, "Choose a patient").waitFor();
  await look(page, "ehr-choice", true);
  await follow(page, "Odalys Mockingham");
  await page.waitForFunction(() => document.querySelector("#said")?.textContent);
  const said = JSON.parse(await page.locator("#said").innerText());
  assert.equal(said.error, undefined);
  assert.equal(said.patient.name[0].text, "Odalys Mockingham");
  assert.equal(said.patient.birthDate, "1986-12-02");
  assert.deepEqual(said.allergies.map((it) => [it.code.text, it.reaction[0].manifestation[0].text]), [["Sulfa antibiotics", "hives"]]);
  assert.ok(said.problems.some((it) => it.code.text === "Opioid use disorder, in stable treatment"));
  assert.equal(said.orders.length, 3);
  assert.equal(said.user.name[0].text, "Dr. Ada Moreno");
  assert.notEqual(said.other, "p-1001");
  await context.close();
});

test("the tab of a chart opens our app for its patient, with SMART and with a signed launch", async () => {
  const { page, complaints } = await newPerson(browser);
  const visited = [];
  page.on("request", (request) => { if (request.isNavigationRequest()) visited.push(new URL(request.url()).pathname); });
  await page.goto(`${demo.ehr}/patients/p-1004`);
  await follow(page, "e-Prescribing");
  await heading(page, "e-Prescribing").waitFor();
  await page.getByRole("region", { name: "Patient" }).getByText("Thaddeus Placeholt").waitFor();
  assert.deepEqual(visited.filter((it) => /smart|auth/.test(it)), ["/smart/launch", "/auth/authorize", "/smart/callback"]);
  await follow(page, "Write a prescription");
  assert.equal(await page.getByLabel("Patient's address", { exact: true }).inputValue(), "9 Nowhere Court, Lincoln NE 68501");
  await page.goto(`${demo.ehr}/patients/p-1005/signed-launch`);
  await heading(page, "e-Prescribing").waitFor();
  await page.getByRole("region", { name: "Patient" }).getByText("Wilhelmina Fauxley-Demo").waitFor();
  // An app that the EHR does not know is sent nowhere.
  await page.goto(`${demo.ehr}/auth/authorize?response_type=code&client_id=countersign&redirect_uri=https://evil.example/&state=x`);
  await heading(page, "This app is not registered").waitFor();
  assert.deepEqual(complaints, []);
});

test("a launch of another site that is refused leaves no chart open, and a picture of one ends nothing", async () => {
  const { page, context } = await newPerson(browser);
  // The same server under a name that is another site.
  const elsewhere = app.replace("127.0.0.1", "localhost");
  const patient = page.getByRole("region", { name: "Patient" }).getByText("Thaddeus Placeholt");
  const open = async () => {
    await page.goto(`${demo.ehr}/patients/p-1004`);
    await follow(page, "e-Prescribing");
    await patient.waitFor();
    const cookies = await context.cookies(demo.origin);
    return cookies.find((it) => it.name === "__Host-countersign").value;
  };
  await open();
  await page.goto(`${elsewhere}/picture`);
  await page.goto(`${demo.origin}/e-prescribing`);
  await patient.waitFor();
  for (const [way, role] of [["link", "link"], ["form", "button"]]) {
    const secret = await open();
    await page.goto(`${elsewhere}/${way}`);
    await page.getByRole(role, { name: "Open" }).click();
    await page.waitForURL(`${demo.origin}/**`);
    await page.locator("h1").waitFor();
    assert.equal(await patient.count(), 0, way);
    assert.equal(await page.getByText("Moreno").count(), 0, way);
    await page.goto(`${demo.origin}/e-prescribing`);
    await page.getByRole("heading", { level: 1, name: /Open e-Prescribing from/ }).waitFor();
    const cookies = await context.cookies(demo.origin);
    assert.deepEqual(cookies.filter((it) => /countersign(-open)?$/.test(it.name)), [], way);
    if (way === "link") {
      // Over on the server too, for whoever kept the secret.
      const kept = await fetch(`${demo.origin}/e-prescribing`, { headers: { cookie: `__Host-countersign=${secret}` } });
      await kept.body?.cancel();
      assert.equal(kept.status, 403);
    }
  }
  await context.close();
});

/** The three examples of the documentation; Java where the machine has it. */
const examples = [["node", "launch.mjs"], ["python3", "launch.py"], ["java", "Launch.java"]];
for (const [program, file] of examples) {
  test(`a signed launch by the example ${file} opens the app`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "countersign-launch-"));
    t.after(() => rm(folder, { recursive: true }));
    const der = Buffer.from((await readFile(join(demo.data, "ehr.key"), "utf8")).trim(), "hex");
    const pem = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" });
    await writeFile(join(folder, "key.pem"), pem, { mode: 0o600 });
    const { ehr_id: id } = JSON.parse(await readFile(join(demo.data, "demo-state.json"), "utf8"));
    const patient = JSON.stringify({ id: "p-9", name: "Zoë Example", birth_date: "1990-01-02", mrn: "M-9" });
    const script = resolve(import.meta.dirname, "../../docs/examples/launch", file);
    let said;
    try {
      // Java reads its arguments in the encoding of the locale, whichever machine this is.
      const env = { ...process.env, LC_ALL: "C.UTF-8" };
      said = await run(program, [script, join(folder, "key.pem"), id, demo.origin, "amoreno", patient], { env });
    } catch (error) {
      if (error.code === "ENOENT" && program === "java") return t.skip("no Java on this machine");
      throw error;
    }
    const { page, context } = await newPerson(browser);
    await page.goto(said.stdout.trim());
    await heading(page, "e-Prescribing").waitFor();
    await page.getByRole("region", { name: "Patient" }).getByText("Zoë Example").waitFor();
    const again = await page.goto(said.stdout.trim());
    assert.equal(again.status(), 403, "a launch works once");
    await context.close();
  });
}

test("no page of these complained", () => {
  assert.deepEqual(findings, []);
});
