// What the app knows while it runs. Keys are here only inside an open vault.
import { measure, type Offset } from "./clock";
import type { Credential, Database, VaultRecord } from "./db";
import { classify, isInstalled, platformOf, readFacts, storageIsSafe } from "./device";
import { t } from "./i18n";
import { serverTimeMs } from "./provision";
import type { OpenVault } from "./vault";

const CLOCK_AGE_MS = 5 * 60_000;

const facts = readFacts();

class State extends EventTarget {
  db!: Database;
  readonly platform = platformOf(facts);
  readonly device = classify(facts);
  readonly installed = isInstalled();
  storageSafe = false;
  credentials: Credential[] = [];
  /** The stored lock, `null` before the first set-up. */
  record: VaultRecord | null = null;
  vault: OpenVault | null = null;
  offset: Offset | null = null;
  wiped = false;
  /** A pairing code that came with the address and is not used yet. */
  pairing: string | null = null;
  /** The credential that was just connected through a pairing code. */
  paired: string | null = null;
  #measuring: Promise<void> | null = null;

  /** The server's time as far as it is known. */
  now(): number {
    return Date.now() + (this.offset?.offsetMs ?? 0);
  }

  async reload(): Promise<void> {
    const [credentials, record] = await Promise.all([this.db.credentials(), this.db.vault()]);
    this.credentials = credentials;
    this.record = record;
    this.storageSafe = await storageIsSafe(this.platform, false);
  }

  /** Learns the clock's offset, unless it was just learned. No server, no matter: the last one is used. */
  learnClock(): Promise<void> {
    const age = this.offset ? Date.now() - this.offset.measuredAtMs : Infinity;
    // A negative age: the clock was set back, so what is known about it is worth nothing.
    if (age >= 0 && age < CLOCK_AGE_MS) return Promise.resolve();
    this.#measuring ??= measure(serverTimeMs)
      .then(async (offset) => {
        this.offset = offset;
        this.dispatchEvent(new Event("clock"));
        await this.db.set("offset", offset);
      })
      .catch(() => {})
      .finally(() => { this.#measuring = null; });
    return this.#measuring;
  }
}

export const app = new State();

/** "phone", in the language of the app. */
export function here(): { device: string } {
  const kind = app.device === "desktop" ? "phone" : app.device;
  return { device: t(`device_${kind}`) };
}
