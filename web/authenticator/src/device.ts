// What kind of device this is. A page can't prove it (a person who wants to fool this can), so it is
// a guard against setting up by mistake on the computer that prescribes, and is recorded as what it is.
import type { DeviceClass } from "./provision";

export interface DeviceFacts {
  readonly userAgent: string;
  /** `navigator.userAgentData.mobile`, where the browser has it. */
  readonly mobile: boolean | null;
  readonly touchPoints: number;
  /** The main pointer is a finger. */
  readonly coarse: boolean;
  /** There is a mouse or a pen as well. */
  readonly anyFine: boolean;
  /** CSS pixels of the screen, not of the window. */
  readonly width: number;
  readonly height: number;
}

export type Platform = "ios" | "android" | "other";

const WATCH_SIDE = 260;
const WATCH_LONG_SIDE = 330;
/** Phones are narrower than this, tablets wider. */
const TABLET_SIDE = 600;

function bySize(facts: DeviceFacts): DeviceClass {
  const short = Math.min(facts.width, facts.height);
  const long = Math.max(facts.width, facts.height);
  if (short <= WATCH_SIDE && long <= WATCH_LONG_SIDE) return "watch";
  return short < TABLET_SIDE ? "phone" : "tablet";
}

export function platformOf(facts: Pick<DeviceFacts, "userAgent" | "touchPoints">): Platform {
  if (/iPhone|iPad|iPod/.test(facts.userAgent)) return "ios";
  // iPadOS calls itself a Mac; no Mac has a touch screen.
  if (/Macintosh/.test(facts.userAgent) && facts.touchPoints > 1) return "ios";
  if (/Android/.test(facts.userAgent)) return "android";
  return "other";
}

export function classify(facts: DeviceFacts): DeviceClass | "desktop" {
  const platform = platformOf(facts);
  if (platform !== "other" && facts.touchPoints > 0) return bySize(facts);
  // A computer with a touch screen stays a computer, folded over or not.
  if (/Windows|CrOS|Macintosh/.test(facts.userAgent)) return "desktop";
  if (facts.mobile === true && facts.touchPoints > 0) return bySize(facts);
  // Tablets that ask for desktop pages say "Linux" and nothing else: a finger and no mouse decides.
  if (facts.coarse && !facts.anyFine && facts.touchPoints > 0) return bySize(facts);
  return "desktop";
}

export function readFacts(): DeviceFacts {
  const data = (navigator as { userAgentData?: { mobile?: boolean } }).userAgentData;
  return {
    userAgent: navigator.userAgent,
    mobile: typeof data?.mobile === "boolean" ? data.mobile : null,
    touchPoints: navigator.maxTouchPoints,
    coarse: matchMedia("(pointer: coarse)").matches,
    anyFine: matchMedia("(any-pointer: fine)").matches,
    width: screen.width,
    height: screen.height,
  };
}

/** Whether the app runs as an installed app and not in a tab. */
export function isInstalled(): boolean {
  const installed = ["standalone", "fullscreen", "minimal-ui"].some((mode) => matchMedia(`(display-mode: ${mode})`).matches);
  return installed || (navigator as { standalone?: boolean }).standalone === true;
}

/**
 * Whether the browser keeps what is stored until the person removes it. On iOS only an app on the
 * Home Screen escapes the removal after seven idle days; elsewhere the browser is asked.
 */
export async function storageIsSafe(platform: Platform, ask: boolean): Promise<boolean> {
  if (platform === "ios") return isInstalled();
  try {
    if (await navigator.storage.persisted()) return true;
    return ask && (await navigator.storage.persist());
  } catch {
    return false;
  }
}
