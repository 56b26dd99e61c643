// What the app keeps, in IndexedDB and nowhere else: wrapped keys and facts that are no secret.
import type { Offset } from "./clock";
import type { Algorithm } from "./provision";
import type { Bytes } from "./bytes";

export interface Wrapped {
  readonly nonce: Bytes;
  readonly blob: Bytes;
}

export interface PinLock {
  readonly method: "pin";
  readonly salt: Bytes;
  readonly iterations: number;
  /** Tries since the last right one; counted before each try is made. */
  readonly tries: number;
}

export interface PasskeyLock {
  readonly method: "passkey";
  /** The passkey's own ID, by which the browser finds it. */
  readonly passkeyId: Bytes;
  /** What the passkey is asked to answer (its answer is the secret). */
  readonly input: Bytes;
  readonly salt: Bytes;
}

export type Lock = PinLock | PasskeyLock;

export interface VaultRecord {
  readonly format: 1;
  readonly lock: Lock;
  /** The master key, wrapped under what the PIN or the passkey gives. */
  readonly master: Wrapped;
}

export interface Credential {
  readonly id: string;
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly digits: number;
  readonly period: number;
  readonly createdMs: number;
  /** Until then a prescriber has to add it, or the server discards it. By the server's clock. */
  readonly expiresAtMs: number;
  readonly origin: string;
  readonly format: 1;
  /** The seed, wrapped under the master key. */
  readonly seed: Wrapped;
  /** The person has said that the computer took it, so nothing reminds of that any more. */
  readonly added: boolean;
}

interface Settings {
  language: string;
  /** `null`: the clock was set since it was measured. */
  offset: Offset | null;
  /** Tells on the next start that the tries were used up. */
  wiped: boolean;
}

const NAME = "countersign-authenticator";
const VAULT_KEY = "vault";

/** The browser could not store or read: full, forbidden, or broken. */
export class StorageError extends Error {}

/** Another window has removed or replaced the lock meanwhile. */
export class VaultChanged extends StorageError {}

/** The nonce is made anew with every lock, and stays while that lock is there. */
const sameVault = (a: VaultRecord, b: VaultRecord) =>
  a.master.nonce.length === b.master.nonce.length && a.master.nonce.every((byte, at) => byte === b.master.nonce[at]);

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

export class Database {
  private constructor(private readonly db: IDBDatabase) {}

  static async open(): Promise<Database> {
    try {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("vault");
        request.result.createObjectStore("credentials", { keyPath: "id" });
        request.result.createObjectStore("settings");
      };
      const db = await asked(request);
      // Another window that needs a newer layout is not kept waiting.
      db.onversionchange = () => db.close();
      return new Database(db);
    } catch (cause) {
      throw new StorageError("open", { cause });
    }
  }

  /** All or nothing: what `work` writes is there when this has returned, and else none of it is. */
  private async run<T>(
    stores: string[],
    mode: IDBTransactionMode,
    work: (store: (name: string) => IDBObjectStore) => Promise<T>,
  ): Promise<T> {
    try {
      // "strict": the count of tries must have reached the disk before a PIN is tried.
      const transaction = this.db.transaction(stores, mode, { durability: "strict" });
      const done = new Promise<void>((ok, fail) => {
        transaction.oncomplete = () => ok();
        transaction.onabort = () => fail(transaction.error);
      });
      // Its failure is reported by `await done`, or by what failed inside.
      done.catch(() => {});
      let result: T;
      try {
        result = await work((name) => transaction.objectStore(name));
      } catch (error) {
        try {
          transaction.abort();
        } catch {
          // Already over.
        }
        throw error;
      }
      await done;
      return result;
    } catch (cause) {
      if (cause instanceof StorageError) throw cause;
      throw new StorageError("transaction", { cause });
    }
  }

  vault(): Promise<VaultRecord | null> {
    return this.run(["vault"], "readonly", async (store) => (await asked(store("vault").get(VAULT_KEY))) ?? null);
  }

  credentials(): Promise<Credential[]> {
    return this.run(["credentials"], "readonly", async (store) => {
      const all: Credential[] = await asked(store("credentials").getAll());
      return all.sort((a, b) => a.createdMs - b.createdMs || a.id.localeCompare(b.id));
    });
  }

  /**
   * `vault` is the one that the credential's seed is wrapped under. With the first credential it is
   * stored as well: neither is ever there without the other.
   */
  addCredential(credential: Credential, vault: VaultRecord, first: boolean): Promise<void> {
    return this.run(["vault", "credentials"], "readwrite", async (store) => {
      const stored: VaultRecord | undefined = await asked(store("vault").get(VAULT_KEY));
      // A vault that another window has made meanwhile must not be overwritten, nor may a credential
      // be added to one that is gone, or to another one, which could never open it.
      if (first ? stored : !stored || !sameVault(stored, vault)) throw new VaultChanged("the vault changed");
      if (first) await asked(store("vault").add(vault, VAULT_KEY));
      await asked(store("credentials").add(credential));
    });
  }

  async changeCredential(id: string, change: Partial<Pick<Credential, "name" | "added">>): Promise<void> {
    await this.run(["credentials"], "readwrite", async (store) => {
      const credential: Credential | undefined = await asked(store("credentials").get(id));
      if (credential) await asked(store("credentials").put({ ...credential, ...change }));
    });
  }

  /** The lock goes with the last credential: the next set-up chooses anew. */
  removeCredential(id: string): Promise<void> {
    return this.run(["vault", "credentials"], "readwrite", async (store) => {
      await asked(store("credentials").delete(id));
      if ((await asked(store("credentials").count())) === 0) await asked(store("vault").clear());
    });
  }

  /** Removes all credentials and the lock. */
  wipe(): Promise<void> {
    return this.run(["vault", "credentials"], "readwrite", async (store) => {
      await asked(store("vault").clear());
      await asked(store("credentials").clear());
    });
  }

  /**
   * Changes the count of tries and answers the vault with the new count. Reading and writing are
   * one transaction, so two windows can't use one try twice.
   */
  setTries(change: (tries: number) => number): Promise<VaultRecord | null> {
    return this.run(["vault"], "readwrite", async (store) => {
      const record: VaultRecord | undefined = await asked(store("vault").get(VAULT_KEY));
      if (!record || record.lock.method !== "pin") return record ?? null;
      const changed: VaultRecord = { ...record, lock: { ...record.lock, tries: change(record.lock.tries) } };
      await asked(store("vault").put(changed, VAULT_KEY));
      return changed;
    });
  }

  setting<K extends keyof Settings>(key: K): Promise<Settings[K] | null> {
    return this.run(["settings"], "readonly", async (store) => (await asked(store("settings").get(key))) ?? null);
  }

  set<K extends keyof Settings>(key: K, value: Settings[K]): Promise<void> {
    return this.run(["settings"], "readwrite", async (store) => {
      await asked(store("settings").put(value, key));
    });
  }

  close(): void {
    this.db.close();
  }
}
