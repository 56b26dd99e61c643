import en from "./messages/en.json";
import es from "./messages/es.json";

export type Key = keyof typeof en;
export type Language = "en" | "es";

/** Each language's own name for itself. */
export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", es: "Español" };

const MESSAGES: Readonly<Record<Language, Readonly<Record<Key, string>>>> = { en, es };

let current: Language = "en";

export const isLanguage = (text: unknown): text is Language => text === "en" || text === "es";

/** The first language of the browser's that the app has. */
export function preferred(languages: readonly string[]): Language {
  for (const tag of languages) {
    const base = tag.toLowerCase().split("-")[0];
    if (isLanguage(base)) return base;
  }
  return "en";
}

export const language = (): Language => current;

export function setLanguage(to: Language): void {
  current = to;
}

export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return MESSAGES[current][key].replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** "2 minutes", "1 minuto": the plural is the browser's business. */
export function amount(count: number, unit: "second" | "minute" | "hour" | "day"): string {
  return new Intl.NumberFormat(current, { style: "unit", unit, unitDisplay: "long" }).format(count);
}

export function dateTime(unixMs: number): string {
  return new Intl.DateTimeFormat(current === "en" ? "en-US" : "es-US", { dateStyle: "medium", timeStyle: "short" }).format(unixMs);
}
