// What the page of signing gives to be signed: a picture of a text, or eight digits of its digest.
import type { Question } from "./otp";

const HEAD = "countersign-sign 1";
/** Control and format characters, separators of lines, and what a font may leave out. The server puts none into a text. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]/u;

export type Signing =
  | { readonly kind: "text"; readonly initials: string; readonly lines: readonly string[]; readonly question: Question }
  /** The picture of another server: its code would be worth nothing here. */
  | { readonly kind: "other-server"; readonly host: string }
  | { readonly kind: "none" };

/**
 * Reads the text of a picture. The question is made from the text as it is shown, not from anything that
 * the text says of itself: the code stands for what stood here.
 */
export async function readSigning(text: string, origin: string): Promise<Signing> {
  const [head, server, digest, initials, ...lines] = text.split("\n");
  if (head !== HEAD || !server || !/^[0-9a-f]{64}$/.test(digest ?? "") || initials === undefined || lines.length === 0) return { kind: "none" };
  // What can't be seen must not be signed: no line without words, and nothing that is unseen or turns their order round.
  if (lines.some((line) => line.trim() === "") || UNSEEN.test(text.replaceAll("\n", ""))) return { kind: "none" };
  if (server !== origin) return { kind: "other-server", host: server.replace(/^https?:\/\//, "") };
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const hex = [...hash.subarray(0, 20)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { kind: "text", initials, lines, question: { kind: "QH40", hex } };
}

/** The number below the picture, as typed. */
export function readNumber(text: string): Question | null {
  const digits = text.replace(/[\s\u2010-\u2015-]/g, "");
  return /^[0-9]{8}$/.test(digits) ? { kind: "QN08", digits } : null;
}
