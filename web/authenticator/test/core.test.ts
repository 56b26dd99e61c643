import { describe, expect, test } from "vitest";
import otp from "../../../docs/vectors/otp.json";
import vectors from "../../../docs/vectors/provisioning.json";
import signing from "../../../docs/vectors/signing.json";
import { fromBase64Url, toBase64Url, type Bytes } from "../src/bytes";
import { inWords, measure } from "../src/clock";
import { classify, platformOf, type DeviceFacts } from "../src/device";
import { amount, LANGUAGES, preferred, setLanguage, t } from "../src/i18n";
import en from "../src/messages/en.json";
import es from "../src/messages/es.json";
import { HASHES, hotp, ocra, secondsLeft, stepAt, totp, type OtpAlgorithm } from "../src/otp";
import { fromFragment, parsePairing } from "../src/pairing";
import { readNumber, readSigning } from "../src/signing";
import { agree, contextSalt, ProvisionError, readOffer, type Algorithm, type Offer } from "../src/provision";

const hex = (text: string): Bytes => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const toHex = (bytes: ArrayBuffer | Bytes) => [...new Uint8Array(bytes)].map((it) => it.toString(16).padStart(2, "0")).join("");
const signer = (seed: string, algorithm: OtpAlgorithm) =>
  crypto.subtle.importKey("raw", hex(seed), { name: "HMAC", hash: HASHES[algorithm] }, false, ["sign"]);

describe("passcodes", () => {
  test.each(otp.hotp)("RFC 4226, counter $counter", async (it) => {
    expect(await hotp(await signer(it.seed, "SHA1"), it.counter, it.digits)).toBe(it.code);
  });
  test.each(otp.totp)("RFC 6238, $algorithm at $unix_time", async (it) => {
    expect(await totp(await signer(it.seed, it.algorithm as OtpAlgorithm), it.unix_time * 1000, it)).toBe(it.code);
  });
  test("a step begins on its second and ends a millisecond before the next", () => {
    expect(stepAt(59_999, 30)).toBe(1);
    expect(stepAt(60_000, 30)).toBe(2);
    expect(secondsLeft(59_999, 30)).toBe(1);
    expect(secondsLeft(60_000, 30)).toBe(30);
  });
});

describe("codes bound to what is signed", () => {
  const origin = "https://erx.example.org";
  test.each(signing.cases)("the $algorithm vector of $challenge", async (it) => {
    const [key, algorithm] = [await signer(it.seed, it.algorithm as OtpAlgorithm), it.algorithm as OtpAlgorithm];
    const found = await readSigning(it.text, origin);
    if (found.kind !== "text") throw new Error(found.kind);
    expect([found.initials, ...found.lines]).toEqual(it.text.split("\n").slice(3));
    expect(await ocra(key, algorithm, found.question, stepAt(it.unix_time * 1000, 30), 30)).toBe(it.shown);
    const typed = readNumber(`${it.challenge.slice(0, 4)} ${it.challenge.slice(4)}`)!;
    expect(await ocra(key, algorithm, typed, stepAt(it.unix_time * 1000, 30), 30)).toBe(it.typed);
  });
  test("a text of another server, of another kind, or with something unseen is refused", async () => {
    const { text } = signing.cases[0]!;
    expect(await readSigning(text, "https://other.example")).toEqual({ kind: "other-server", host: "erx.example.org" });
    for (const bad of ["", "countersign-sign 1", text.replace("sign 1", "sign 2"), text.split("\n").slice(0, 4).join("\n"), `${text}\n `, `${text}\u202e`, `${text}\u200b`, ...["\u00ad", "\u034f", "\u061c", "\u115f", "\u180e", "\u206a", "\u2800", "\u3164", "\ufe0f", "\uffa0", "\ufff9", "\u{e0041}"].map((it) => text + it), text.replace("\n", "\r\n"), text.replace(/[0-9a-f]{64}/, "x")]) {
      expect((await readSigning(bad, origin)).kind).toBe("none");
    }
    for (const bad of ["", "1234567", "123456789", "1234567a"]) expect(readNumber(bad)).toBeNull();
  });
});

interface Case { algorithm: string; credential_id: string; server_key: string; confirmation: string }
const offerOf = (it: Case): Offer => ({
  credentialId: it.credential_id, serverKey: hex(it.server_key), confirmation: hex(it.confirmation),
  algorithm: it.algorithm as Algorithm, digits: 6, period: 30, expiresAtMs: 0,
});

describe("provisioning", () => {
  const priv = (jwk: JsonWebKey) => crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);

  test.each(vectors.cases)("agrees on the seed of the $algorithm vector", async (it) => {
    const offer = offerOf(it);
    expect(toHex(await contextSalt(hex(it.device_key), offer))).toBe(it.salt);
    const seed = await agree(await priv(it.device_private_jwk), hex(it.device_key), offer);
    expect(toHex(await crypto.subtle.exportKey("raw", seed))).toBe(it.seed);
    expect(await totp(seed, it.unix_time * 1000, offer)).toBe(it.code);
  });

  test.each(vectors.cases)("the keys of the $algorithm vector have all their bytes", (it) => {
    for (const key of [it.device_private_key, it.server_private_key]) expect(key).toHaveLength(64);
    for (const { d } of [it.device_private_jwk, it.server_private_jwk]) expect(d).toHaveLength(43);
  });

  test.each([
    ["confirmation", (it: Offer) => ({ ...it, confirmation: it.confirmation.map((byte, at) => (at === 31 ? byte ^ 1 : byte)) })],
    ["credential ID", (it: Offer) => ({ ...it, credentialId: "CNST41648883" })],
    ["algorithm", (it: Offer) => ({ ...it, algorithm: it.algorithm === "SHA1" ? "SHA256" as const : "SHA1" as const })],
    ["point, off the curve", (it: Offer) => ({ ...it, serverKey: it.serverKey.map((byte, at) => (at === 64 ? byte ^ 1 : byte)) })],
    ["point, another one", (it: Offer) => ({ ...it, serverKey: hex(vectors.cases[1]!.device_key) })],
  ])("a changed %s is not confirmed", async (_name, change) => {
    const it = vectors.cases[0]!;
    await expect(agree(await priv(it.device_private_jwk), hex(it.device_key), change(offerOf(it))))
      .rejects.toMatchObject({ refusal: "not-confirmed" });
  });

  const answer = {
    credential_id: "CNST41648882", server_key: toBase64Url(hex(vectors.cases[0]!.server_key)),
    confirmation: toBase64Url(hex(vectors.cases[0]!.confirmation)),
    algorithm: "SHA256", digits: 6, period: 30, server_time_ms: 1_795_567_688_000, expires_at_ms: 1_795_654_088_000,
  };
  test("reads an answer", () => {
    expect(readOffer(answer)).toMatchObject({ credentialId: "CNST41648882", period: 30 });
  });
  test.each([
    null, [], "", {}, { ...answer, credential_id: "CNST4164888" }, { ...answer, credential_id: "<b>T41648882" }, { ...answer, credential_id: 5 },
    { ...answer, server_key: "AA" }, { ...answer, server_key: `${answer.server_key}=` }, { ...answer, confirmation: null },
    { ...answer, algorithm: "SHA512" }, { ...answer, digits: "6" }, { ...answer, digits: 8 }, { ...answer, period: 0 }, { ...answer, expires_at_ms: 1e300 },
    { ...answer, expires_at_ms: 2 }, { ...answer, expires_at_ms: 8.64e15 + 1 }, { ...answer, expires_at_ms: "1795654088000" },
  ])("refuses an answer that it does not know: %j", (body) => {
    expect(() => readOffer(body)).toThrow(ProvisionError);
  });
});

describe("base64url", () => {
  test("comes back, in one spelling only", () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = crypto.getRandomValues(new Uint8Array(length));
      expect(fromBase64Url(toBase64Url(bytes), length)).toEqual(bytes);
    }
    expect(fromBase64Url("AB", 1)).toBeNull();
    expect(fromBase64Url("AA==", 1)).toBeNull();
    expect(fromBase64Url("A+", 1)).toBeNull();
    expect(fromBase64Url("AA", 2)).toBeNull();
    expect(fromBase64Url("A", 0)).toBeNull();
  });
});

describe("pairing codes", () => {
  const code = "ABCDEFGHIJKLMNOPQRSTUVWX27";
  const here = "https://rx.example";
  test.each([
    code, ` ${code.toLowerCase()} `, "abcd-efgh-ijkl-mnop-qrst-uvwx-27", "ABCD EFGH\nIJKL MNOP QRST UVWX 27",
    "A8CDEFGH1JKLMN0PQRSTUVWX27".replace("A8", "AB"), `${here}/authenticator/#pair=${code}`,
  ])("%j is one", (text) => {
    expect(parsePairing(text, here)).toEqual({ kind: "code", code });
  });
  test.each(["", "ABC", `${code}A`, code.replace("A", "9"), "https://rx.example/", `${here}/authenticator/#pair=`, "javascript:alert(1)", "http://["])("%j is none", (text) => {
    expect(parsePairing(text, here)).toEqual({ kind: "none" });
  });
  test("pictures of other servers and of seeds are told apart", () => {
    expect(parsePairing(`https://other.example:8443/authenticator/#pair=${code}`, here)).toEqual({ kind: "other-server", host: "other.example:8443" });
    expect(parsePairing("otpauth://totp/x?secret=AAAA", here)).toEqual({ kind: "seed" });
  });
  test("the fragment of an address", () => {
    expect(fromFragment(`#pair=${code}`)).toBe(code);
    expect(fromFragment(`#pair=${code}&x=1`)).toBe(code);
    expect(fromFragment("#other")).toBeNull();
    expect(fromFragment("#pair=%3Cb%3E")).toBeNull();
  });
});

describe("the clock", () => {
  test("takes the middle of three, so one late answer changes nothing", async () => {
    let local = 1_000_000;
    const trips = [40, 4_000, 60];
    const offset = await measure(async () => {
      const trip = trips.shift()!;
      local += trip;
      // The slow one waits on the way back only: its middle is wrong.
      return local + 125_000 - (trip > 1000 ? trip : trip / 2);
    }, () => local);
    expect(offset.offsetMs).toBe(125_000);
  });
  test.each([
    [0, null], [2_999, null], [-2_999, null],
    [3_000, { direction: "slow", unit: "second", amount: 3 }], [-3_000, { direction: "fast", unit: "second", amount: 3 }],
    [125_000, { direction: "slow", unit: "minute", amount: 2 }], [-3_600_000, { direction: "fast", unit: "minute", amount: 60 }],
    [7_200_000, { direction: "slow", unit: "hour", amount: 2 }], [-172_800_000, { direction: "fast", unit: "day", amount: 2 }],
  ])("%i ms in words", (offset, words) => {
    expect(inWords(offset)).toEqual(words);
  });
});

describe("devices", () => {
  const base: DeviceFacts = { userAgent: "", mobile: null, touchPoints: 5, coarse: true, anyFine: false, width: 390, height: 844 };
  const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15";
  test.each<[string, Partial<DeviceFacts>, string]>([
    ["iPhone", { userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)" }, "phone"],
    ["iPhone held across", { userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", width: 844, height: 390 }, "phone"],
    ["iPad that calls itself a Mac", { userAgent: mac, width: 820, height: 1180 }, "tablet"],
    ["iPad with a mouse", { userAgent: mac, width: 820, height: 1180, anyFine: true, coarse: false }, "tablet"],
    ["Mac", { userAgent: mac, touchPoints: 0, coarse: false, anyFine: true, width: 1512, height: 982 }, "desktop"],
    ["Android phone", { userAgent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile", mobile: true }, "phone"],
    ["Android tablet", { userAgent: "Mozilla/5.0 (Linux; Android 14; SM-X710)", mobile: false, width: 753, height: 1205 }, "tablet"],
    ["Android tablet that asks for desktop pages", { userAgent: "Mozilla/5.0 (X11; Linux x86_64)", mobile: false, width: 753, height: 1205 }, "tablet"],
    ["watch", { userAgent: "Mozilla/5.0 (Linux; Android 13; Watch)", mobile: true, width: 198, height: 242 }, "watch"],
    ["Windows with a touch screen", { userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", mobile: false, touchPoints: 10, coarse: false, anyFine: true, width: 1368, height: 912 }, "desktop"],
    ["Windows tablet without its keyboard", { userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", mobile: false, touchPoints: 10, width: 1368, height: 912 }, "desktop"],
    ["Chromebook folded over", { userAgent: "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)", mobile: false, touchPoints: 10, width: 1200, height: 800 }, "desktop"],
    ["Linux", { userAgent: "Mozilla/5.0 (X11; Linux x86_64)", mobile: false, touchPoints: 0, coarse: false, anyFine: true, width: 1920, height: 1080 }, "desktop"],
    ["Linux laptop with a touch screen", { userAgent: "Mozilla/5.0 (X11; Linux x86_64)", mobile: false, touchPoints: 10, coarse: false, anyFine: true, width: 1920, height: 1080 }, "desktop"],
    ["desktop that claims to be a phone", { userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", touchPoints: 0, coarse: false, anyFine: true, width: 1920, height: 1080 }, "desktop"],
  ])("%s", (_name, facts, kind) => {
    expect(classify({ ...base, ...facts })).toBe(kind);
  });
  test("platforms", () => {
    expect(platformOf({ userAgent: mac, touchPoints: 5 })).toBe("ios");
    expect(platformOf({ userAgent: mac, touchPoints: 0 })).toBe("other");
    expect(platformOf({ userAgent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile", touchPoints: 5 })).toBe("android");
  });
});

describe("messages", () => {
  const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((it) => it[1]).sort();
  test("both languages have the same keys, none empty", () => {
    expect(Object.keys(es)).toEqual(Object.keys(en));
    for (const text of [...Object.values(en), ...Object.values(es)]) expect(text.trim()).not.toBe("");
  });
  test.each(Object.keys(en) as (keyof typeof en)[])("%s has the same placeholders", (key) => {
    // A language may name the device where the other does without.
    expect(holes(es[key]).filter((it) => it !== "device")).toEqual(holes(en[key]).filter((it) => it !== "device"));
  });
  test("every message is used", () => {
    const all = Object.values(import.meta.glob<string>("../src/**/*.ts", { query: "?raw", import: "default", eager: true })).join("\n");
    const made = [/^install_(ios|android)(_\d)?$/, /^device_/, /^notice_/, /^clock_(slow|fast)$/, /^pin_(short|long|digits|easy)$/];
    const idle = Object.keys(en).filter((key) => !all.includes(`"${key}"`) && !made.some((it) => it.test(key)));
    expect(idle).toEqual([]);
  });
  test("a clock that is too far off is said in both languages", () => {
    for (const language of ["es", "en"] as const) {
      setLanguage(language);
      expect(t("clock_far", { device: t("device_phone"), span: amount(2, "day") })).toMatch(/2 (days|días)/);
    }
  });
  test("are filled in, with the plural of the language", () => {
    setLanguage("en");
    expect(t("clock_slow", { device: t("device_phone"), span: amount(2, "minute") })).toBe("This phone's clock is 2 minutes slow. Codes are corrected.");
    expect(amount(1, "second")).toBe("1 second");
    setLanguage("es");
    expect(t("clock_fast", { device: t("device_phone"), span: amount(1, "minute") })).toBe("El reloj de este teléfono va 1 minuto adelantado. Los códigos están corregidos.");
    setLanguage("en");
    expect(t("pin_wrong", { other: 1 })).toContain("{left}");
  });
  test("the browser's first language that the app has", () => {
    expect(preferred(["fr-CA", "es-MX", "en-US"])).toBe("es");
    expect(preferred(["EN-gb"])).toBe("en");
    expect(preferred(["fr"])).toBe("en");
    expect(Object.keys(LANGUAGES)).toEqual(["en", "es"]);
  });
});
