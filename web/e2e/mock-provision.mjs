// A stand-in for the server: the built app under its real headers, and the native provisioning
// protocol in Node's own cryptography. For tests of the app alone; it checks nothing that only the
// real server can check (rates, prescribers), and keeps everything in memory.
import { createECDH, createHash, createHmac, hkdfSync, randomInt } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { extname, join, normalize, resolve } from "node:path";

const FILES = process.env.AUTHENTICATOR_DIR ?? resolve(import.meta.dirname, "../../crates/server/static/authenticator");
const CSP = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
  "manifest-src 'self'", "worker-src 'self'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
  "require-trusted-types-for 'script'", "trusted-types countersign-worker",
].join("; ");
const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
  ".png": "image/png", ".webmanifest": "application/manifest+json",
};
const FIELDS = new Set(["version", "device_key", "algorithm", "family", "device_class", "device_evidence", "pairing_code"]);
const DAY_MS = 86_400_000;

class Problem extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

/** The server's half of the agreement. */
export function agree(deviceKey, credentialId, algorithm, privateKey = null) {
  const ecdh = createECDH("prime256v1");
  if (privateKey) ecdh.setPrivateKey(privateKey);
  else ecdh.generateKeys();
  const serverKey = ecdh.getPublicKey();
  const secret = ecdh.computeSecret(deviceKey);
  const label = "countersign-provisioning-v1";
  const zero = Buffer.alloc(1);
  const salt = createHash("sha256")
    .update(Buffer.concat([Buffer.from(label), zero, deviceKey, serverKey, Buffer.from(credentialId), zero, Buffer.from(algorithm)]))
    .digest();
  const expand = (use, length) => Buffer.from(hkdfSync("sha256", secret, salt, `${label} ${use}`, length));
  const confirmation = createHmac("sha256", expand("confirmation", 32)).update("server").update(salt).digest();
  return { serverKey, seed: expand("seed", algorithm === "SHA1" ? 20 : 32), confirmation };
}

/** The code of a seed at a time, by Node's own arithmetic. */
export function passcode({ seed, algorithm, period = 30 }, unixMs) {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(Math.floor(unixMs / 1000 / period)));
  const mac = createHmac(algorithm.toLowerCase(), seed).update(message).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

export class MockServer {
  /** Added to this machine's clock. */
  offsetMs = 0;
  portalSession = false;
  /** Pairing codes that are waiting to be used. */
  pairings = new Set();
  /** credential ID -> { seed, algorithm, request } */
  credentials = new Map();
  /** What to do wrong: `confirmation`, or the code of a problem. */
  fault = null;
  /** How long a provisioning takes. */
  slowMs = 0;
  /** Paths that were asked for. */
  requests = [];
  /** A text that is put in the place of another in sw.js: so a new version looks. */
  newVersion = null;
  openPicture = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 21 21"><path d="M0 0h7v7H0zM14 0h7v7h-7zM0 14h7v7H0zM9 9h3v3H9z"/></svg>';
  #server = null;
  #port = 0;

  get origin() {
    // A name and not an address: passkeys belong to names.
    return `http://localhost:${this.#port}`;
  }

  get clockMs() {
    return Date.now() + this.offsetMs;
  }

  async start(port = this.#port) {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        const status = error.status ?? 500;
        response.writeHead(status, { "content-type": "application/problem+json", "cache-control": "no-store" });
        response.end(JSON.stringify({ type: "about:blank", status, code: error.code ?? "internal" }));
      });
    });
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
    return this;
  }

  async stop() {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    this.requests.push(`${request.method} ${pathname}`);
    const json = (status, body) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify(body));
    };
    if (pathname === "/provision/v1/time") return json(200, { unix_time_ms: this.clockMs });
    if (pathname === "/provision/v1/browser") return json(200, { portal_session: this.portalSession });
    if (pathname === "/provision/v1/credentials" && request.method === "POST") return json(201, await this.#provision(request));
    if (!pathname.startsWith("/authenticator/")) throw new Problem(404, "not_found");

    const name = pathname.slice("/authenticator/".length) || "index.html";
    const headers = {
      "content-security-policy": CSP,
      "x-content-type-options": "nosniff",
      "permissions-policy": "camera=(self), geolocation=(), microphone=()",
      "referrer-policy": "same-origin",
      "cache-control": /-[\w-]{8}\.(js|css)$/.test(name) ? "public, max-age=31536000, immutable" : "no-cache",
    };
    if (name === "open.svg") {
      response.writeHead(200, { ...headers, "content-type": "image/svg+xml" });
      return response.end(this.openPicture);
    }
    let body;
    try {
      body = await readFile(join(FILES, normalize(name)));
    } catch {
      throw new Problem(404, "not_found");
    }
    if (name === "sw.js" && this.newVersion) body = body.toString().replace(...this.newVersion);
    response.writeHead(200, { ...headers, "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
    response.end(body);
  }

  async #provision(request) {
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += part;
    if (request.headers["content-type"] !== "application/json") throw new Problem(415, "body_malformed");
    const body = JSON.parse(text);
    await sleep(this.slowMs);
    for (const name of Object.keys(body)) if (!FIELDS.has(name)) throw new Problem(422, "body_malformed");
    if (body.version !== 1) throw new Problem(422, "version_unknown");
    if (this.portalSession) throw new Problem(409, "portal_browser");
    if (this.fault && this.fault !== "confirmation") throw new Problem(this.fault === "full" ? 503 : 422, this.fault);
    const deviceKey = Buffer.from(body.device_key, "base64url");
    if (deviceKey.length !== 65 || deviceKey[0] !== 4) throw new Problem(422, "key_malformed");
    if (body.pairing_code !== undefined && !this.pairings.delete(body.pairing_code)) throw new Problem(404, "pairing_unknown");
    const id = `CNST${String(randomInt(100_000_000)).padStart(8, "0")}`;
    const algorithm = body.algorithm ?? "SHA256";
    const { serverKey, seed, confirmation } = agree(deviceKey, id, algorithm);
    if (this.fault === "confirmation") confirmation[0] ^= 1;
    this.credentials.set(id, { seed, algorithm, request: body });
    return {
      credential_id: id,
      server_key: serverKey.toString("base64url"),
      confirmation: confirmation.toString("base64url"),
      algorithm, digits: 6, period: 30,
      server_time_ms: this.clockMs,
      expires_at_ms: this.clockMs + DAY_MS,
    };
  }
}
