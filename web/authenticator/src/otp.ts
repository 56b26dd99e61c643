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
  const mac: Bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
  const offset = mac[mac.length - 1]! & 0x0f;
  const number = new DataView(mac.buffer).getUint32(offset) & 0x7fff_ffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}

export function totp(key: CryptoKey, unixMs: number, shape: OtpShape): Promise<string> {
  return hotp(key, stepAt(unixMs, shape.period), shape.digits);
}
