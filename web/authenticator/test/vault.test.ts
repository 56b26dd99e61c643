import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { Database, StorageError, VaultChanged, type Credential } from "../src/db";
import { totp } from "../src/otp";
import { MAX_TRIES, newPinVault, OpenVault, pinProblem, unlockWithPin } from "../src/vault";

// A real run takes 600,000 rounds; ten wrong PINs of those are a minute on a slow machine.
const derive = crypto.subtle.deriveKey.bind(crypto.subtle);
let rounds: number[] = [];
vi.spyOn(crypto.subtle, "deriveKey").mockImplementation((...args: Parameters<SubtleCrypto["deriveKey"]>) => {
  const [algorithm, ...rest] = args;
  if (typeof algorithm !== "string" && "iterations" in algorithm) {
    rounds.push(algorithm.iterations);
    return derive({ ...algorithm, iterations: 10 }, ...rest);
  }
  return derive(algorithm, ...rest);
});

const PIN = "482915";
const SEED = new TextEncoder().encode("12345678901234567890123456789012") as Uint8Array<ArrayBuffer>;
const seedKey = () => crypto.subtle.importKey("raw", SEED, { name: "HMAC", hash: "SHA-256" }, true, ["sign"]);

async function credentialFor(vault: OpenVault, id: string): Promise<Credential> {
  return {
    id, name: "Token", algorithm: "SHA256", digits: 8, period: 30, createdMs: Number(id.slice(4)), expiresAtMs: 0,
    origin: "https://rx.example", format: 1, seed: await vault.wrapSeed(await seedKey(), id), added: false,
  };
}

let db: Database;
let vault: OpenVault;
beforeEach(async () => {
  indexedDB = new IDBFactory();
  rounds = [];
  db = await Database.open();
  vault = await newPinVault(PIN);
  await db.addCredential(await credentialFor(vault, "CNST00000001"), vault.record, true);
});

const tries = async () => {
  const lock = (await db.vault())?.lock;
  return lock?.method === "pin" ? lock.tries : null;
};

/** Everything that lies in the database, flattened to bytes and text. */
async function everything(): Promise<string> {
  const stored = JSON.stringify([await db.vault(), await db.credentials()], (_key, value: unknown) =>
    ArrayBuffer.isView(value) ? String.fromCharCode(...new Uint8Array(value.buffer)) : value);
  return stored;
}

describe("PINs", () => {
  test.each([
    ["", "short"], ["12345", "short"], ["1234567a", "digits"], ["４８２９１５", "digits"], ["000000", "easy"], ["123456", "easy"],
    ["654321", "easy"], ["890123", "easy"], ["4".repeat(33), "long"], [PIN, null], ["112233", null],
  ])("%j", (pin, problem) => {
    expect(pinProblem(pin)).toBe(problem);
  });
});

describe("the vault", () => {
  test("a right PIN opens it, to a key that signs and can't be read", async () => {
    const result = await unlockWithPin(db, PIN);
    if (result.kind !== "open") throw new Error(result.kind);
    const [credential] = await db.credentials();
    const key = await result.vault.seed(credential!);
    expect(key.extractable).toBe(false);
    expect(key.usages).toEqual(["sign"]);
    await expect(crypto.subtle.exportKey("raw", key)).rejects.toThrow();
    expect(await totp(key, 59_000, { digits: 8, period: 30 })).toBe("46119246");
    expect(rounds).toEqual([600_000, 600_000]);
    expect(await tries()).toBe(0);
  });

  test("nothing readable is stored: no seed, no PIN, no open key", async () => {
    const all = await everything();
    expect(all).not.toContain("12345678901234567890");
    expect(all).not.toContain(PIN);
    const record = (await db.vault())!;
    expect(record.master.blob.length).toBe(32 + 16);
    expect((record.lock as { salt: Uint8Array }).salt.length).toBe(16);
  });

  test("the master key can't be taken out", async () => {
    const master = (vault as unknown as { master: CryptoKey }).master;
    expect(master.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("raw", master)).rejects.toThrow();
  });

  test("a seed is bound to its credential ID", async () => {
    const [credential] = await db.credentials();
    await expect(new OpenVault(vault.record, (vault as unknown as { master: CryptoKey }).master).seed({ ...credential!, id: "CNST00000002" })).rejects.toThrow();
  });

  test("wrong PINs are counted down; a right one sets the count back", async () => {
    expect(await unlockWithPin(db, "111111")).toEqual({ kind: "wrong", left: 9 });
    expect(await unlockWithPin(db, "222222")).toEqual({ kind: "wrong", left: 8 });
    expect((await unlockWithPin(db, PIN)).kind).toBe("open");
    expect(await unlockWithPin(db, "111111")).toEqual({ kind: "wrong", left: 9 });
  });

  test("the tenth wrong PIN removes everything", async () => {
    for (let left = MAX_TRIES - 1; left > 0; left -= 1) expect(await unlockWithPin(db, "111111")).toEqual({ kind: "wrong", left });
    expect(await unlockWithPin(db, "111111")).toEqual({ kind: "wiped" });
    expect(await db.vault()).toBeNull();
    expect(await db.credentials()).toEqual([]);
    expect(await db.setting("wiped")).toBe(true);
    expect(await unlockWithPin(db, PIN)).toEqual({ kind: "wiped" });
  });

  test("ending the app in the middle of a try saves nothing", async () => {
    vi.mocked(crypto.subtle.deriveKey).mockImplementationOnce(() => new Promise(() => {}));
    void unlockWithPin(db, PIN);
    await vi.waitFor(async () => expect(await tries()).toBe(1));
  });

  test("nor does ending it in the middle of the tenth", async () => {
    await db.setTries(() => MAX_TRIES);
    expect(await unlockWithPin(db, PIN)).toEqual({ kind: "wiped" });
    expect(await db.credentials()).toEqual([]);
  });

  test("tries from two windows are counted one by one", async () => {
    const results = await Promise.all([unlockWithPin(db, "111111"), unlockWithPin(db, "222222"), unlockWithPin(db, "333333")]);
    expect(results.map((it) => (it.kind === "wrong" ? it.left : it.kind)).sort()).toEqual([7, 8, 9]);
  });

  test("where the count can't be stored, no PIN is tried", async () => {
    vi.spyOn(db, "setTries").mockRejectedValueOnce(new StorageError("full"));
    await expect(unlockWithPin(db, PIN)).rejects.toThrow(StorageError);
    expect(rounds).toEqual([600_000]);
  });
});

describe("what is stored", () => {
  test("a credential that can't be stored leaves no lock behind", async () => {
    await db.wipe();
    const credential = await credentialFor(vault, "CNST00000003");
    // A function can't be stored: the second write of the transaction fails.
    await expect(db.addCredential({ ...credential, name: (() => "") as unknown as string }, vault.record, true)).rejects.toThrow(StorageError);
    expect(await db.vault()).toBeNull();
    expect(await db.credentials()).toEqual([]);
  });

  test("a second lock never replaces the first, and no credential is added to a lock that is gone", async () => {
    const other = await newPinVault("975310");
    await expect(db.addCredential(await credentialFor(other, "CNST00000004"), other.record, true)).rejects.toThrow(StorageError);
    await db.wipe();
    await expect(db.addCredential(await credentialFor(vault, "CNST00000005"), vault.record, false)).rejects.toThrow(StorageError);
    expect(await db.credentials()).toEqual([]);
  });

  test("a credential is not added under the lock of another window that started over", async () => {
    // Window A is open under the first lock, window B starts over meanwhile.
    const old = await unlockWithPin(db, PIN);
    if (old.kind !== "open") throw new Error(old.kind);
    const other = await newPinVault("975310");
    await db.wipe();
    await db.addCredential(await credentialFor(other, "CNST00000004"), other.record, true);
    await expect(db.addCredential(await credentialFor(old.vault, "CNST00000005"), old.vault.record, false)).rejects.toThrow(VaultChanged);
    expect((await db.credentials()).map((it) => it.id)).toEqual(["CNST00000004"]);
    expect((await db.vault())?.master).toEqual(other.record.master);
    // B goes on; wrong tries in between don't make it another lock.
    await unlockWithPin(db, "111111");
    await db.addCredential(await credentialFor(other, "CNST00000006"), other.record, false);
    for (const credential of await db.credentials()) expect((await other.seed(credential)).extractable).toBe(false);
  });

  test("the same credential is not added twice", async () => {
    await expect(db.addCredential(await credentialFor(vault, "CNST00000001"), vault.record, false)).rejects.toThrow(StorageError);
    expect(await db.credentials()).toHaveLength(1);
  });

  test("renaming and removing; the lock goes with the last credential", async () => {
    await db.addCredential(await credentialFor(vault, "CNST00000002"), vault.record, false);
    await db.changeCredential("CNST00000002", { name: "Ward tablet" });
    expect((await db.credentials()).map((it) => it.name)).toEqual(["Token", "Ward tablet"]);
    await db.removeCredential("CNST00000001");
    expect(await db.vault()).not.toBeNull();
    await db.removeCredential("CNST00000002");
    expect(await db.vault()).toBeNull();
  });
});
