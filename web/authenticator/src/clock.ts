// How far this device's clock is from the server's.

export interface Offset {
  /** Add to the device's clock to get the server's. */
  readonly offsetMs: number;
  /** When it was measured, by the device's clock. */
  readonly measuredAtMs: number;
}

/** Less than this is nobody's concern: codes are corrected by it, but nothing is said. */
export const WORTH_SAYING_MS = 3_000;

/** More than this is not corrected: the device's date is wrong, and the person has to set it. */
export const MOST_CORRECTED_MS = 86_400_000;

const SAMPLES = 3;
/** An offset that is worth nothing to say is measured again after this. */
const CLOCK_AGE_MS = 5 * 60_000;
/** Two clocks that part by more than this: one of them jumped. */
const JUMP_MS = 1_000;

const EARLIEST_MS = Date.UTC(2020, 0);
const LATEST_MS = Date.UTC(2100, 0);

/** A time that a server can mean. Every one of them can be shown as a date. */
export const isSaneTime = (ms: unknown): ms is number => Number.isSafeInteger(ms) && (ms as number) >= EARLIEST_MS && (ms as number) < LATEST_MS;

/** The middle of three tries, each of which assumes that the answer was given halfway. */
export async function measure(serverTimeMs: () => Promise<number>, now: () => number = Date.now): Promise<Offset> {
  const offsets: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const before = now();
    const server = await serverTimeMs();
    offsets.push(Math.round(server - (before + now()) / 2));
  }
  offsets.sort((a, b) => a - b);
  return { offsetMs: offsets[1]!, measuredAtMs: now() };
}

interface Clocks {
  /** The device's clock, which a person or the network may set. */
  readonly wall: number;
  /** One that nobody sets. It may stand still while the device sleeps. */
  readonly steady: number;
}

const clocks = (): Clocks => ({ wall: Date.now(), steady: performance.now() });

/** How much further the device's clock went than the steady one. */
const jumpBetween = (before: Clocks, after: Clocks) => after.wall - before.wall - (after.steady - before.steady);

interface Outside {
  serverTimeMs(): Promise<number>;
  /** The offset is another one now, or was measured again; `null`: nothing is known any more. */
  changed(offset: Offset | null): void;
}

/** The server's time as far as it is known. */
export class ServerClock {
  #offset: Offset | null = null;
  /** When the offset was measured; `null` where it comes from an earlier run or from before a jump. */
  #measured: Clocks | null = null;
  #seen = clocks();
  #measuring: Promise<void> | null = null;

  constructor(private readonly outside: Outside) {}

  get offset(): Offset | null {
    return this.#offset;
  }

  /** The offset may be out of date: it could not be measured since the app was opened or the clock jumped. */
  get old(): boolean {
    return this.#offset !== null && this.#measured === null;
  }

  /** The offset is too large to be corrected. */
  get far(): boolean {
    return this.#offset !== null && Math.abs(this.#offset.offsetMs) > MOST_CORRECTED_MS;
  }

  now(): number {
    this.#look();
    return Date.now() + (this.far ? 0 : this.#offset?.offsetMs ?? 0);
  }

  /** Takes over what an earlier run has measured. */
  load(stored: Offset | null): void {
    // From the future: the clock was set back since.
    if (!stored || !Number.isSafeInteger(stored.offsetMs) || !(stored.measuredAtMs <= Date.now())) return;
    if (!isSaneTime(stored.measuredAtMs + stored.offsetMs)) return;
    this.#offset = stored;
  }

  /** Measures, unless a good offset was just measured. No server, no matter: the last one is used. */
  learn(): Promise<void> {
    this.#look();
    if (!this.#due()) return Promise.resolve();
    this.#measuring ??= this.#measure().catch(() => {}).finally(() => { this.#measuring = null; });
    return this.#measuring;
  }

  #due(): boolean {
    // Who was told that the clock is off may be putting it right this very moment.
    if (!this.#measured || !this.#offset || Math.abs(this.#offset.offsetMs) >= WORTH_SAYING_MS) return true;
    const at = clocks();
    return Math.max(at.wall - this.#measured.wall, at.steady - this.#measured.steady) >= CLOCK_AGE_MS;
  }

  /**
   * Has the device's clock been set since the last look? If so, the offset is forgotten. A clock that
   * went back was set. One that went ahead was set if that is what it was slow by; else the
   * device slept, most likely, and the offset is as good as before. It is measured in any case.
   */
  #look(): void {
    const at = clocks();
    const jump = jumpBetween(this.#seen, at);
    this.#seen = at;
    if (Math.abs(jump) <= JUMP_MS) return;
    this.#measured = null;
    const offset = this.#offset;
    if (offset && (jump < 0 || Math.abs(jump - offset.offsetMs) < WORTH_SAYING_MS)) {
      this.#offset = null;
      this.outside.changed(null);
    }
    void this.learn();
  }

  async #measure(): Promise<void> {
    for (let tries = 0; tries < SAMPLES; tries += 1) {
      const before = clocks();
      const offset = await measure(() => this.outside.serverTimeMs());
      const after = clocks();
      // The clock was set while it was compared: nothing follows from that.
      if (Math.abs(jumpBetween(before, after)) > JUMP_MS) continue;
      this.#seen = after;
      this.#offset = offset;
      this.#measured = after;
      this.outside.changed(offset);
      return;
    }
  }
}

export interface Deviation {
  /** "slow": the device shows less than the server. */
  readonly direction: "slow" | "fast";
  readonly unit: "second" | "minute" | "hour" | "day";
  readonly amount: number;
}

/** The offset as a person says it, or `null` where it isn't worth saying. */
export function inWords(offsetMs: number): Deviation | null {
  const size = Math.abs(offsetMs);
  if (size < WORTH_SAYING_MS) return null;
  const direction = offsetMs > 0 ? "slow" : "fast";
  const seconds = Math.round(size / 1000);
  if (seconds < 90) return { direction, unit: "second", amount: seconds };
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return { direction, unit: "minute", amount: minutes };
  const hours = Math.round(minutes / 60);
  if (hours < 36) return { direction, unit: "hour", amount: hours };
  return { direction, unit: "day", amount: Math.round(hours / 24) };
}
