/** Bytes that own their memory: what WebCrypto takes and IndexedDB keeps. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export function ascii(text: string): Bytes {
  return new Uint8Array(encoder.encode(text));
}

export function concat(...parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function toBase64Url(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** `null` unless the text is exactly the base64url form, without padding, of `length` bytes. */
export function fromBase64Url(text: unknown, length: number): Bytes | null {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) return null;
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
    // A second spelling of the same bytes (loose bits at the end) is refused as well.
    return bytes.length === length && toBase64Url(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}
