// What the app knows while it runs. Keys are here only inside an open vault.
import { ServerClock } from "./clock";
import type { Credential, Database, VaultRecord } from "./db";
import { classify, isInstalled, platformOf, readFacts, storageIsSafe } from "./device";
import { t } from "./i18n";
import { serverTimeMs } from "./provision";
import type { OpenVault } from "./vault";

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
  readonly clock = new ServerClock({
    serverTimeMs,
    changed: (offset) => {
      this.dispatchEvent(new Event("clock"));
      this.db.set("offset", offset).catch(() => {});
    },
  });
  wiped = false;
  /** A pairing code that came with the address and is not used yet. */
  pairing: string | null = null;
  /** The credential that was just connected through a pairing code. */
  paired: string | null = null;

  async reload(): Promise<void> {
    const [credentials, record] = await Promise.all([this.db.credentials(), this.db.vault()]);
    this.credentials = credentials;
    this.record = record;
    this.storageSafe = await storageIsSafe(this.platform, false);
  }
}

export const app = new State();

/** "phone", in the language of the app. */
export function here(): { device: string } {
  const kind = app.device === "desktop" ? "phone" : app.device;
  return { device: t(`device_${kind}`) };
}
