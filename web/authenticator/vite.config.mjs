import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig } from "vite";

const OUT = resolve(import.meta.dirname, "../../crates/server/static/authenticator");
/** Everything that a phone downloads to have the app, compressed. */
const MAX_GZIP = 60_000;

/**
 * Leaves out the reader's table of Japanese characters, two thirds of its size. It is used only for
 * QR codes in "Kanji" mode, and ours hold an address.
 */
function smallReader() {
  return {
    name: "small-reader",
    enforce: "pre",
    transform(code, id) {
      if (!/\/jsqr\/dist\/jsQR\.js$/.test(id.split("?")[0])) return null;
      const small = code.replace(/exports\.shiftJISTable = \{[^}]*\};/, "exports.shiftJISTable = {};");
      if (small.length > code.length / 2) throw new Error("jsqr has changed: its table was not found");
      return { code: small, map: null };
    },
  };
}

function listFiles(folder, prefix = "") {
  return readdirSync(join(folder, prefix), { withFileTypes: true })
    .flatMap((it) => (it.isDirectory() ? listFiles(folder, `${prefix}${it.name}/`) : [`${prefix}${it.name}`]))
    .sort();
}

/** Tells the service worker which files to keep, and weighs the app. */
function precache() {
  let folder;
  return {
    name: "precache",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const kept = listFiles(folder).filter((file) => file !== "sw.js");
      const hash = createHash("sha256");
      for (const file of kept) {
        const bytes = readFileSync(join(folder, file));
        hash.update(`${file}\0${bytes.length}\0`).update(bytes);
      }
      const version = hash.digest("hex").slice(0, 16);
      // Hashed files first, the page last: the page must not be there without what it needs.
      const files = kept.filter((file) => file !== "index.html").concat("");
      const worker = join(folder, "sw.js");
      const list = JSON.stringify(JSON.stringify({ version, files }));
      const text = readFileSync(worker, "utf8");
      const filled = text.replace(/["'`]__PRECACHE__["'`]/, () => list);
      if (filled === text) throw new Error("sw.js has no place for the list of files");
      writeFileSync(worker, filled);

      let total = 0;
      for (const file of [...kept, "sw.js"]) {
        const bytes = readFileSync(join(folder, file));
        const size = gzipSync(bytes, { level: 9 }).length;
        total += size;
        console.log(`${String(size).padStart(7)}  ${file}`);
      }
      console.log(`${String(total).padStart(7)}  bytes in all, each file compressed with gzip; at most ${MAX_GZIP}`);
      if (total > MAX_GZIP) throw new Error(`the app is too large: ${total} bytes`);
    },
  };
}

export default defineConfig({
  base: "/authenticator/",
  plugins: [smallReader(), precache()],
  build: {
    outDir: process.env.OUT_DIR ?? OUT,
    emptyOutDir: true,
    target: "es2022",
    // No helper that writes <link> elements, and no sizes: the plugin above prints them.
    modulePreload: false,
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "[name]-[hash].js"),
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
        postBanner: (chunk) => (chunk.name === "jsQR" ? "/*! jsQR 1.4.0, Apache-2.0. Changed: without its table of Shift JIS characters. */" : ""),
      },
    },
  },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
