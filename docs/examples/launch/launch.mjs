// A signed launch of Countersign from an EHR without SMART, in JavaScript (Node 20 or newer, nothing else).
// usage: node launch.mjs KEY.pem EHR_ID COUNTERSIGN_URL USER PATIENT_JSON
// Prints the address to which the EHR sends the browser. It works once, for a minute.
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const [keyFile, iss, aud, sub, patient] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(keyFile));
const iat = Math.floor(Date.now() / 1000);
const claims = {
  iss, // the ID that `countersign admin ehr` printed
  aud, // server.public_url
  sub, // the user, as `countersign admin ehr-user` connected them
  patient: JSON.parse(patient), // id, name, birth_date (YYYY-MM-DD), mrn
  iat,
  exp: iat + 60,
  jti: randomBytes(32).toString("base64url"), // never the same again
};
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const message = `${part({ alg: "ES256", typ: "JWT" })}.${part(claims)}`;
// r and s, 32 bytes each: not the DER form that most libraries make by themselves.
const signature = sign("sha256", Buffer.from(message), { key, dsaEncoding: "ieee-p1363" });
console.log(`${aud}/launch?token=${message}.${signature.toString("base64url")}`);
