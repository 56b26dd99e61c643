// Makes docs/vectors/*.json, the test vectors that the app, the Rust crate and any other
// implementation share. The arithmetic is Node's own (OpenSSL), written here a second time, not the
// app's. The private keys are for tests only and are made from a fixed text, so that a second run
// writes the same files.
import { createECDH, createHash, createHmac, hkdfSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(import.meta.dirname, "../../../docs/vectors");
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

function hotp(hash, seed, counter, digits) {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(counter));
  const mac = createHmac(hash, seed).update(message).digest();
  const number = mac.readUInt32BE(mac[mac.length - 1] & 15) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}

// What the RFCs print, typed from there; the loop below only checks it.
const RFC4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
const RFC6238 = [
  [59, "94287082", "46119246", "90693936"],
  [1111111109, "07081804", "68084774", "25091201"],
  [1111111111, "14050471", "67062674", "99943326"],
  [1234567890, "89005924", "91819424", "93441116"],
  [2000000000, "69279037", "90698825", "38618901"],
  [20000000000, "65353130", "77737706", "47863826"],
];
const ascii = (length) => Buffer.from("1234567890".repeat(7).slice(0, length));
const hotpVectors = RFC4226.map((code, counter) => ({ seed: hex(ascii(20)), algorithm: "SHA1", digits: 6, counter, code }));
const totpVectors = RFC6238.flatMap(([unix_time, ...codes]) =>
  [["SHA1", 20], ["SHA256", 32], ["SHA512", 64]].map(([algorithm, length], at) => ({
    seed: hex(ascii(length)), algorithm, digits: 8, period: 30, unix_time, code: codes[at],
  })),
);
for (const it of hotpVectors) {
  if (hotp("sha1", Buffer.from(it.seed, "hex"), it.counter, 6) !== it.code) throw new Error(`HOTP ${it.counter}`);
}
for (const it of totpVectors) {
  const code = hotp(it.algorithm.toLowerCase(), Buffer.from(it.seed, "hex"), Math.floor(it.unix_time / it.period), it.digits);
  if (code !== it.code) throw new Error(`TOTP ${it.unix_time} ${it.algorithm}`);
}

/** 32 bytes: Node leaves out leading zeros, JWK wants them (RFC 7518, 6.2.2.1). */
function privateKey(ecdh) {
  return Buffer.from(ecdh.getPrivateKey("hex").padStart(64, "0"), "hex");
}
function keyPair(name) {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(createHash("sha256").update(`countersign provisioning test vector: ${name}`).digest());
  return ecdh;
}
/** A private key as other software takes it. */
function jwk(ecdh) {
  const point = ecdh.getPublicKey();
  return {
    kty: "EC", crv: "P-256", d: base64url(privateKey(ecdh)),
    x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)),
  };
}

function provisioning(algorithm, credential_id) {
  const device = keyPair(`${algorithm} device`);
  const server = keyPair(`${algorithm} server`);
  const z = device.computeSecret(server.getPublicKey());
  const zero = Buffer.alloc(1);
  const label = "countersign-provisioning-v1";
  const context = Buffer.concat([
    Buffer.from(label), zero, device.getPublicKey(), server.getPublicKey(),
    Buffer.from(credential_id), zero, Buffer.from(algorithm),
  ]);
  const salt = createHash("sha256").update(context).digest();
  const expand = (use, length) => Buffer.from(hkdfSync("sha256", z, salt, `${label} ${use}`, length));
  const seed = expand("seed", algorithm === "SHA1" ? 20 : 32);
  const confirm_key = expand("confirmation", 32);
  const confirmation = createHmac("sha256", confirm_key).update("server").update(salt).digest();
  const unix_time = 1795567688;
  return {
    algorithm, credential_id,
    device_private_key: hex(privateKey(device)), device_private_jwk: jwk(device), device_key: hex(device.getPublicKey()),
    server_private_key: hex(privateKey(server)), server_private_jwk: jwk(server), server_key: hex(server.getPublicKey()),
    shared_secret: hex(z), salt: hex(salt), seed: hex(seed), confirm_key: hex(confirm_key), confirmation: hex(confirmation),
    unix_time, code: hotp(algorithm.toLowerCase(), seed, Math.floor(unix_time / 30), 6),
  };
}

/** OCRA (RFC 6287), written from its section 5: a question of hexadecimal digits, and a time. */
function ocra(hash, seed, suite, question, step, digits) {
  const time = Buffer.alloc(step === null ? 0 : 8);
  if (step !== null) time.writeBigUInt64BE(BigInt(step));
  const message = Buffer.concat([Buffer.from(suite), Buffer.alloc(1), Buffer.from(question.padEnd(256, "0"), "hex"), time]);
  const mac = createHmac(hash, seed).update(message).digest();
  const number = mac.readUInt32BE(mac[mac.length - 1] & 15) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}
// What RFC 6287, appendix C prints checks the arithmetic.
const nibbles = (digits) => Number(digits).toString(16);
["237653", "243178", "653583", "740991", "608993", "388898", "816933", "224598", "750600", "294470"].forEach((code, digit) => {
  if (ocra("sha1", ascii(20), "OCRA-1:HOTP-SHA1-6:QN08", nibbles(String(digit).repeat(8)), null, 6) !== code) throw new Error(`OCRA ${digit}`);
});

function signing(algorithm, lines) {
  const seed = ascii(algorithm === "SHA1" ? 20 : 32);
  const unix_time = 1795567688;
  const text = ["countersign-sign 1", "https://erx.example.org", hex(createHash("sha256").update(lines.join()).digest()), "R. L.", ...lines].join("\n");
  const digest = createHash("sha256").update(text).digest();
  const challenge = String(2n * (digest.readBigUInt64BE(20) % 50000000n) + 1n).padStart(8, "0");
  const code = (kind, question) => ocra(algorithm.toLowerCase(), seed, `OCRA-1:HOTP-${algorithm}-8:${kind}-T30S`, question, Math.floor(unix_time / 30), 8);
  return {
    algorithm, seed: hex(seed), unix_time, text, challenge,
    shown: code("QH40", hex(digest.subarray(0, 20))), typed: code("QN08", nibbles(challenge)),
  };
}

const write = (name, value) => writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
mkdirSync(folder, { recursive: true });
write("otp.json", {
  about: "HOTP: RFC 4226, appendix D. TOTP: RFC 6238, appendix B, T0 = 0. Seeds in hex.",
  hotp: hotpVectors,
  totp: totpVectors,
});
write("provisioning.json", {
  about: "Countersign provisioning, version 1. Byte strings in hex. Private keys for tests only. The code is the one at unix_time: 6 digits, period 30.",
  cases: [provisioning("SHA256", "CNST41648882"), provisioning("SHA1", "CNST00000018")],
});
write("signing.json", {
  about: "Codes bound to what is signed (OCRA, RFC 6287). The question of a shown text is the first 20 bytes of its SHA-256; the challenge is the next 8, big-endian, modulo 5 * 10^7, twice that and one more. Seeds in hex; period 30; codes of 8 digits at unix_time.",
  cases: [
    signing("SHA256", ["1. Oxycodone hydrochloride 5 mg Tablet, 30 tablets", "Refills: 0", "Directions: One every six hours", "Pharmacy: Corner Pharmacy"]),
    signing("SHA1", ["Alprazolam 0.5 mg Tablet, 20 tablets, 2 refills", "Zolpidem tartrate 5 mg Tablet, 30 tablets"]),
    signing("SHA256", ["Ñandú\u2019s syrup 10 mg/mL, 120 mL"]),
  ],
});
