// The native provisioning protocol, version 1: the app's half.
import { ascii, concat, fromBase64Url, toBase64Url, type Bytes } from "./bytes";
import { isSaneTime } from "./clock";
import { HASHES } from "./otp";

export type Algorithm = "SHA1" | "SHA256";
export type DeviceClass = "phone" | "tablet" | "watch";

/** What went wrong, as far as the person can do something about it. */
export type Refusal =
  | "offline"
  | "unexpected"
  | "update"
  | "pairing-unknown"
  | "pairing-malformed"
  | "too-many"
  | "full"
  | "portal-browser"
  | "not-confirmed";

export class ProvisionError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  pairing_unknown: "pairing-unknown",
  pairing_malformed: "pairing-malformed",
  too_many: "too-many",
  full: "full",
  portal_browser: "portal-browser",
  // The server speaks another version than this app.
  version_unknown: "update",
  algorithm_unknown: "update",
  device_class_unknown: "update",
};

const ALGORITHM: Algorithm = "SHA256";
const POINT = 65;
const TIMEOUT_MS = 15_000;
const LABEL = "countersign-provisioning-v1";
const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;

export interface Offer {
  readonly credentialId: string;
  readonly serverKey: Bytes;
  readonly confirmation: Bytes;
  readonly algorithm: Algorithm;
  readonly digits: number;
  readonly period: number;
  readonly expiresAtMs: number;
}

async function call(path: string, init: RequestInit = {}): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      cache: "no-store",
      credentials: "same-origin",
      // An answer from elsewhere (a captive portal) is not the server's.
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ProvisionError("offline");
  }
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  if (response.ok && body !== null && typeof body === "object") return body;
  const code = body !== null && typeof body === "object" && "code" in body ? body.code : null;
  if (typeof code === "string" && Object.hasOwn(REFUSALS, code)) throw new ProvisionError(REFUSALS[code]!);
  throw new ProvisionError(response.status === 429 ? "too-many" : "unexpected");
}

/** Whether this browser also holds a portal or e-prescribing session. */
export async function holdsPortalSession(): Promise<boolean> {
  const body = (await call("/provision/v1/browser")) as { portal_session?: unknown };
  if (typeof body.portal_session !== "boolean") throw new ProvisionError("unexpected");
  return body.portal_session;
}

export async function serverTimeMs(): Promise<number> {
  const body = (await call("/provision/v1/time")) as { unix_time_ms?: unknown };
  if (!isSaneTime(body.unix_time_ms)) throw new ProvisionError("unexpected");
  return body.unix_time_ms;
}

/** Reads the server's answer; anything that this app doesn't know is refused, not guessed. */
export function readOffer(body: unknown): Offer {
  const it = (body ?? {}) as Record<string, unknown>;
  const serverKey = fromBase64Url(it.server_key, POINT);
  const confirmation = fromBase64Url(it.confirmation, 32);
  const { credential_id: id, algorithm, digits, period, expires_at_ms: expires } = it;
  if (
    !serverKey || !confirmation ||
    typeof id !== "string" || !/^[A-Z]{4}[0-9]{8}$/.test(id) ||
    (algorithm !== "SHA1" && algorithm !== "SHA256") ||
    digits !== 6 || (period !== 30 && period !== 60) ||
    !isSaneTime(expires)
  ) {
    throw new ProvisionError("unexpected");
  }
  return { credentialId: id, serverKey, confirmation, algorithm, digits, period, expiresAtMs: expires };
}

/** SHA-256 over everything that both sides must agree on; the salt of the derivation. */
export async function contextSalt(deviceKey: Bytes, offer: Pick<Offer, "serverKey" | "credentialId" | "algorithm">): Promise<Bytes> {
  const zero = new Uint8Array(1);
  const context = concat(
    ascii(LABEL), zero, deviceKey, offer.serverKey, ascii(offer.credentialId), zero, ascii(offer.algorithm),
  );
  return new Uint8Array(await crypto.subtle.digest("SHA-256", context));
}

/**
 * Agrees on the seed and checks that the server has the same one. The answer is a key that can be
 * wrapped once and is then forgotten.
 *
 * The seed is derived as a key, not as bytes: so it never lies in an array of ours that somebody
 * has to remember to overwrite, and wrapping takes a key anyway. It has to be extractable to be
 * wrapped; whoever calls this lets go of it right after that. The agreed secret itself comes as
 * bytes, because deriving it straight into an HKDF key is not a thing that every browser does;
 * those bytes live in this function and are overwritten here.
 */
export async function agree(privateKey: CryptoKey, deviceKey: Bytes, offer: Offer): Promise<CryptoKey> {
  let server: CryptoKey;
  try {
    // The browser refuses what is no point on the curve.
    server = await crypto.subtle.importKey("raw", offer.serverKey, CURVE, false, []);
  } catch {
    throw new ProvisionError("not-confirmed");
  }
  const secret: Bytes = new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: server }, privateKey, 256));
  let base: CryptoKey;
  try {
    base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  } finally {
    secret.fill(0);
  }
  const salt = await contextSalt(deviceKey, offer);
  const derive = (use: string, hash: string, bytes: number, extractable: boolean, usage: KeyUsage) =>
    crypto.subtle.deriveKey(
      { name: "HKDF", hash: "SHA-256", salt, info: ascii(`${LABEL} ${use}`) },
      base,
      { name: "HMAC", hash, length: bytes * 8 },
      extractable,
      [usage],
    );
  const confirm = await derive("confirmation", "SHA-256", 32, false, "verify");
  const right = await crypto.subtle.verify("HMAC", confirm, offer.confirmation, concat(ascii("server"), salt));
  if (!right) throw new ProvisionError("not-confirmed");
  return derive("seed", HASHES[offer.algorithm], offer.algorithm === "SHA1" ? 20 : 32, true, "sign");
}

export interface Wanted {
  readonly deviceClass: DeviceClass;
  readonly pairingCode: string | null;
}

/** Asks for a credential. The key pair is made for this one request. */
export async function provision(wanted: Wanted): Promise<{ offer: Offer; seed: CryptoKey }> {
  const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
  const deviceKey: Bytes = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const body = await call("/provision/v1/credentials", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      version: 1,
      device_key: toBase64Url(deviceKey),
      algorithm: ALGORITHM,
      device_class: wanted.deviceClass,
      device_evidence: "checked",
      ...(wanted.pairingCode === null ? {} : { pairing_code: wanted.pairingCode }),
    }),
  });
  const offer = readOffer(body);
  // Another algorithm than the one that was asked for would be a weaker one.
  if (offer.algorithm !== ALGORITHM) throw new ProvisionError("unexpected");
  return { offer, seed: await agree(pair.privateKey, deviceKey, offer) };
}
