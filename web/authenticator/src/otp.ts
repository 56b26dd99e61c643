// Passcodes: HOTP (RFC 4226) over the number of a time step (RFC 6238). The seed is never seen
// here, only a key that can sign.
import type { Bytes } from "./bytes";

/** `SHA512` is there for the published vectors; the server offers the other two. */
export type OtpAlgorithm = "SHA1" | "SHA256" | "SHA512";

export interface OtpShape {
  readonly digits: number;
  /** Seconds. */
  readonly period: number;
}

export const HASHES: Readonly<Record<OtpAlgorithm, string>> = { SHA1: "SHA-1", SHA256: "SHA-256", SHA512: "SHA-512" };

export function stepAt(unixMs: number, period: number): number {
  return Math.floor(unixMs / 1000 / period);
}

export function secondsLeft(unixMs: number, period: number): number {
  return period - (Math.floor(unixMs / 1000) % period);
}

export async function hotp(key: CryptoKey, counter: number, digits: number): Promise<string> {
  const message = new DataView(new ArrayBuffer(8));
  message.setBigUint64(0, BigInt(counter));
  return truncated(new Uint8Array(await crypto.subtle.sign("HMAC", key, message)), digits);
}

/** The dynamic truncation of a MAC (RFC 4226, 5.3). */
function truncated(mac: Bytes, digits: number): string {
  const offset = mac[mac.length - 1]! & 0x0f;
  const number = new DataView(mac.buffer).getUint32(offset) & 0x7fff_ffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}

export function totp(key: CryptoKey, unixMs: number, shape: OtpShape): Promise<string> {
  return hotp(key, stepAt(unixMs, shape.period), shape.digits);
}

/** What a code is bound to. */
export type Question =
  /** 40 hexadecimal digits: a digest of what is signed. */
  | { readonly kind: "QH40"; readonly hex: string }
  /** 8 decimal digits, typed. */
  | { readonly kind: "QN08"; readonly digits: string };

/** Digits of a code that is bound to a question: two more than a passcode has. */
export const BOUND_DIGITS = 8;
const QUESTION_BYTES = 128;

/** A code that is bound to what is signed: OCRA (RFC 6287) with a question and the time. */
export async function ocra(key: CryptoKey, algorithm: OtpAlgorithm, question: Question, step: number, period: number): Promise<string> {
  const suite = `OCRA-1:HOTP-${algorithm}-${BOUND_DIGITS}:${question.kind}-T${period}S`;
  // Numeric questions are hexadecimal digits without leading zeros; zeros on the right fill the room.
  const nibbles = (question.kind === "QH40" ? question.hex : Number(question.digits).toString(16)).padEnd(2 * QUESTION_BYTES, "0");
  const message = new Uint8Array(suite.length + 1 + QUESTION_BYTES + 8);
  message.set(new TextEncoder().encode(suite));
  for (let at = 0; at < QUESTION_BYTES; at += 1) message[suite.length + 1 + at] = parseInt(nibbles.slice(2 * at, 2 * at + 2), 16);
  new DataView(message.buffer).setBigUint64(message.length - 8, BigInt(step));
  return truncated(new Uint8Array(await crypto.subtle.sign("HMAC", key, message)), BOUND_DIGITS);
}
