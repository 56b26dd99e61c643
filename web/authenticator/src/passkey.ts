// The platform's passkey as a source of a key: WebAuthn with the PRF extension. Nothing is signed
// for anybody; the answer of the extension never leaves the device.
import { random, type Bytes } from "./bytes";

/** `cancelled`: by the person, or the time ran out. `unable`: this device's passkeys give no key. */
export class PasskeyError extends Error {
  constructor(readonly reason: "cancelled" | "unable") {
    super(reason);
  }
}

const NAME = "Countersign Authenticator";
const TIMEOUT_MS = 120_000;

/** Whether it is worth offering. That the passkey really gives a key shows only when it is made. */
export async function passkeysMayWork(): Promise<boolean> {
  try {
    // A passkey belongs to a name; a bare address (a test set-up) can't have one.
    if (/^[0-9.]+$|:/.test(location.hostname)) return false;
    // Where the browser knows that it can't, nobody has to make a passkey to find out.
    const able = await PublicKeyCredential.getClientCapabilities?.();
    if (able?.["extension:prf"] === false) return false;
    return await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
  } catch {
    return false;
  }
}

function reason(error: unknown): PasskeyError {
  const name = error instanceof DOMException ? error.name : "";
  return new PasskeyError(name === "NotAllowedError" || name === "AbortError" ? "cancelled" : "unable");
}

function toBytes(source: BufferSource): Bytes {
  const view = ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source);
  return new Uint8Array(view);
}

export async function makePasskey(input: Bytes): Promise<{ passkeyId: Bytes; answer: Bytes }> {
  let made: PublicKeyCredential;
  try {
    made = (await navigator.credentials.create({
      publicKey: {
        rp: { name: NAME },
        user: { id: random(16), name: NAME, displayName: NAME },
        challenge: random(32),
        pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
        authenticatorSelection: {
          authenticatorAttachment: "platform",
          // Only passkeys that the device lists can answer PRF on phones.
          residentKey: "required",
          userVerification: "required",
        },
        timeout: TIMEOUT_MS,
        extensions: { prf: { eval: { first: input } } },
      },
    })) as PublicKeyCredential;
  } catch (error) {
    throw reason(error);
  }
  const { prf } = made.getClientExtensionResults();
  if (!prf?.enabled) throw new PasskeyError("unable");
  const passkeyId = toBytes(made.rawId);
  // Some devices answer at once, others only when they are asked again.
  const answer = prf.results?.first ? toBytes(prf.results.first) : await askPasskey(passkeyId, input);
  return { passkeyId, answer };
}

export async function askPasskey(passkeyId: Bytes, input: Bytes): Promise<Bytes> {
  let got: PublicKeyCredential;
  try {
    got = (await navigator.credentials.get({
      publicKey: {
        challenge: random(32),
        allowCredentials: [{ type: "public-key", id: passkeyId }],
        userVerification: "required",
        timeout: TIMEOUT_MS,
        extensions: { prf: { eval: { first: input } } },
      },
    })) as PublicKeyCredential;
  } catch (error) {
    throw reason(error);
  }
  const first = got.getClientExtensionResults().prf?.results?.first;
  if (!first) throw new PasskeyError("unable");
  return toBytes(first);
}
