// The lock of the app. A PIN or a passkey gives a key; that unwraps the master key; that unwraps
// each seed, straight to a key that can only sign.
//
//   PIN ----PBKDF2--\
//                    >-- AES-GCM -- master key -- AES-GCM -- seed (HMAC key, not extractable)
//   passkey --HKDF--/
//
// The master key is there so that one unlocking opens several credentials, and so that a right PIN
// shows itself: AES-GCM refuses to unwrap with any other.
import { ascii, concat, random, type Bytes } from "./bytes";
import type { Credential, Database, Lock, PasskeyLock, PinLock, VaultRecord, Wrapped } from "./db";
import { HASHES } from "./otp";
import type { Algorithm } from "./provision";
import { askPasskey, makePasskey } from "./passkey";

export const MAX_TRIES = 10;
export const MIN_PIN = 6;
export const MAX_PIN = 32;
const ITERATIONS = 600_000;
const FORMAT = 1;

export type PinProblem = "short" | "long" | "digits" | "easy";

/** What is wrong with a PIN that is being chosen; `null` if nothing. */
export function pinProblem(pin: string): PinProblem | null {
  if (!/^[0-9]*$/.test(pin)) return "digits";
  if (pin.length < MIN_PIN) return "short";
  if (pin.length > MAX_PIN) return "long";
  const steps = new Set([...pin].slice(1).map((digit, at) => (Number(digit) - Number(pin[at]) + 10) % 10));
  // 000000, 123456, 654321: the first that anybody tries.
  const [step] = steps;
  if (steps.size === 1 && (step === 0 || step === 1 || step === 9)) return "easy";
  return null;
}

/** Binds a wrapped key to what it is for, so that none can be put in the place of another. */
const masterData = (lock: Lock) => ascii(`countersign-authenticator master ${FORMAT} ${lock.method}`);
const seedData = (credentialId: string, format: number) => concat(ascii(`countersign-authenticator seed ${format}`), new Uint8Array(1), ascii(credentialId));

async function pinKey(pin: string, lock: PinLock): Promise<CryptoKey> {
  const bytes = ascii(pin);
  try {
    const base = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
    return await crypto.subtle.deriveKey(
      { name: "PBKDF2", hash: "SHA-256", salt: lock.salt, iterations: lock.iterations },
      base,
      { name: "AES-GCM", length: 256 },
      false,
      ["wrapKey", "unwrapKey"],
    );
  } finally {
    bytes.fill(0);
  }
}

async function passkeyKey(answer: Bytes, lock: PasskeyLock): Promise<CryptoKey> {
  try {
    const base = await crypto.subtle.importKey("raw", answer, "HKDF", false, ["deriveKey"]);
    return await crypto.subtle.deriveKey(
      { name: "HKDF", hash: "SHA-256", salt: lock.salt, info: ascii("countersign-authenticator passkey 1") },
      base,
      { name: "AES-GCM", length: 256 },
      false,
      ["wrapKey", "unwrapKey"],
    );
  } finally {
    answer.fill(0);
  }
}

async function wrap(key: CryptoKey, under: CryptoKey, additionalData: Bytes): Promise<Wrapped> {
  const nonce = random(12);
  const blob = await crypto.subtle.wrapKey("raw", key, under, { name: "AES-GCM", iv: nonce, additionalData });
  return { nonce, blob: new Uint8Array(blob) };
}

function unwrapMaster(record: VaultRecord, under: CryptoKey): Promise<CryptoKey> {
  return crypto.subtle.unwrapKey(
    "raw", record.master.blob, under,
    { name: "AES-GCM", iv: record.master.nonce, additionalData: masterData(record.lock) },
    { name: "AES-GCM", length: 256 },
    false,
    ["wrapKey", "unwrapKey"],
  );
}

/** A vault that is open: the master key, and the seeds that were needed so far. */
export class OpenVault {
  readonly #seeds = new Map<string, Promise<CryptoKey>>();

  constructor(readonly record: VaultRecord, private readonly master: CryptoKey) {}

  wrapSeed(seed: CryptoKey, credentialId: string): Promise<Wrapped> {
    return wrap(seed, this.master, seedData(credentialId, FORMAT));
  }

  seed(credential: Pick<Credential, "id" | "seed" | "format"> & { algorithm: Algorithm }): Promise<CryptoKey> {
    let key = this.#seeds.get(credential.id);
    if (!key) {
      key = crypto.subtle.unwrapKey(
        "raw", credential.seed.blob, this.master,
        { name: "AES-GCM", iv: credential.seed.nonce, additionalData: seedData(credential.id, credential.format) },
        { name: "HMAC", hash: HASHES[credential.algorithm] },
        false,
        ["sign"],
      );
      this.#seeds.set(credential.id, key);
    }
    return key;
  }
}

async function makeVault(lock: Lock, under: CryptoKey): Promise<OpenVault> {
  // Extractable, because it has to be wrapped; this key object ends with this function. What goes
  // on is the one unwrapped from it, which isn't, and which shows that unwrapping works.
  const master = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["wrapKey", "unwrapKey"]);
  const record: VaultRecord = { format: FORMAT, lock, master: await wrap(master, under, masterData(lock)) };
  return new OpenVault(record, await unwrapMaster(record, under));
}

export async function newPinVault(pin: string): Promise<OpenVault> {
  const lock: PinLock = { method: "pin", salt: random(16), iterations: ITERATIONS, tries: 0 };
  return makeVault(lock, await pinKey(pin, lock));
}

export async function newPasskeyVault(): Promise<OpenVault> {
  const input = random(32);
  const made = await makePasskey(input);
  const lock: PasskeyLock = { method: "passkey", passkeyId: made.passkeyId, input, salt: random(16) };
  return makeVault(lock, await passkeyKey(made.answer, lock));
}

export type Unlocked =
  | { readonly kind: "open"; readonly vault: OpenVault }
  | { readonly kind: "wrong"; readonly left: number }
  | { readonly kind: "wiped" };

/**
 * Tries a PIN. The try is counted and on the disk before it is made: ending the app in the middle
 * of it saves nothing. After the tenth everything is removed.
 */
export async function unlockWithPin(db: Database, pin: string): Promise<Unlocked> {
  const record = await db.setTries((tries) => tries + 1);
  if (!record || record.lock.method !== "pin") return { kind: "wiped" };
  const { tries } = record.lock;
  // More than ten: the app was ended during the tenth try.
  if (tries <= MAX_TRIES) {
    const master = await pinKey(pin, record.lock).then((key) => unwrapMaster(record, key)).catch(() => null);
    if (master) {
      await db.setTries(() => 0);
      return { kind: "open", vault: new OpenVault(record, master) };
    }
    if (tries < MAX_TRIES) return { kind: "wrong", left: MAX_TRIES - tries };
  }
  await db.set("wiped", true);
  await db.wipe();
  return { kind: "wiped" };
}

/** Asks for the passkey. Its authenticator counts tries itself. `null`: not the passkey of this vault. */
export async function unlockWithPasskey(record: VaultRecord): Promise<OpenVault | null> {
  if (record.lock.method !== "passkey") return null;
  const answer = await askPasskey(record.lock.passkeyId, record.lock.input);
  const under = await passkeyKey(answer, record.lock);
  try {
    return new OpenVault(record, await unwrapMaster(record, under));
  } catch {
    return null;
  }
}
