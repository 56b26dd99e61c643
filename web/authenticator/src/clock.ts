// How far this device's clock is from the server's.

export interface Offset {
  /** Add to the device's clock to get the server's. */
  readonly offsetMs: number;
  /** When it was measured, by the device's clock. */
  readonly measuredAtMs: number;
}

/** Less than this is nobody's concern: codes are corrected by it, but nothing is said. */
export const WORTH_SAYING_MS = 3_000;

const SAMPLES = 3;

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
