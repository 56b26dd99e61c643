// The pairing code, however it comes: typed, pasted, or in the address of the portal's picture.

export type Pairing =
  | { readonly kind: "code"; readonly code: string }
  /** The picture of another server: its code would be worth nothing here. */
  | { readonly kind: "other-server"; readonly host: string }
  /** A picture that hands over a seed, which this app never takes. */
  | { readonly kind: "seed" }
  | { readonly kind: "none" };

/** 128 bits in base32. */
const LENGTH = 26;

/** Case, spaces and dashes are forgiven, and the digits that base32 leaves out for their look. */
function normal(text: string): string | null {
  const code = text.replace(/[\s\u2010-\u2015-]/g, "").toUpperCase().replaceAll("0", "O").replaceAll("1", "I").replaceAll("8", "B");
  return code.length === LENGTH && /^[A-Z2-7]+$/.test(code) ? code : null;
}

export function fromFragment(hash: string): string | null {
  const match = /^#pair=([^&]*)/.exec(hash);
  return match ? normal(match[1]!) : null;
}

export function parsePairing(text: string, origin: string): Pairing {
  const trimmed = text.trim();
  const typed = normal(trimmed);
  if (typed) return { kind: "code", code: typed };
  if (/^otpauth(-migration)?:/i.test(trimmed)) return { kind: "seed" };
  if (!/^https?:\/\//i.test(trimmed)) return { kind: "none" };
  try {
    const url = new URL(trimmed);
    const code = fromFragment(url.hash);
    if (!code) return { kind: "none" };
    return url.origin === origin ? { kind: "code", code } : { kind: "other-server", host: url.host };
  } catch {
    return { kind: "none" };
  }
}
