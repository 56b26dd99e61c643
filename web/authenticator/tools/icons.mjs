// Draws the app's icons into public/: the mark of static/logo.svg, by distance to its strokes, as
// PNGs with few colors. No browser and no image library, so every machine draws the same bytes.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { crc32, deflateSync } from "node:zlib";

const folder = resolve(import.meta.dirname, "../public");
const BRAND = [0x0b, 0x55, 0x68];
const PALE = [0x8f, 0xd3, 0xe4];
const WHITE = [0xff, 0xff, 0xff];
/** Strokes in the 32 x 32 units of the mark: color, width, points. */
const STROKES = [
  [PALE, 3, [[7, 13.5], [11.5, 18], [19, 9]]],
  [WHITE, 3, [[13, 18], [17, 22], [25.5, 12]]],
  [PALE, 2, [[8, 26], [24, 26]]],
];
const SAMPLES = 4;
/** Shades between two colors; more make no visible difference. */
const SHADES = 8;

function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** Color and opacity at a point of the 32 x 32 mark; `round` is the radius of its corners. */
function sample(x, y, round, scale) {
  const [cx, cy] = [Math.abs(x - 16) - (16 - round), Math.abs(y - 16) - (16 - round)];
  if (Math.hypot(Math.max(cx, 0), Math.max(cy, 0)) > round) return [0, 0, 0, 0];
  const point = [(x - 16) / scale + 16, (y - 16) / scale + 16];
  let color = BRAND;
  for (const [stroke, width, points] of STROKES) {
    for (let at = 1; at < points.length; at += 1) {
      if (distance(point, points[at - 1], points[at]) <= width / 2) color = stroke;
    }
  }
  return [...color, 255];
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), out.length - 4);
  return out;
}

function draw(name, size, round, scale = 1) {
  const palette = new Map();
  const rows = Buffer.alloc(size * (size + 1));
  for (let py = 0; py < size; py += 1) {
    for (let px = 0; px < size; px += 1) {
      const sum = [0, 0, 0, 0];
      for (let sy = 0; sy < SAMPLES; sy += 1) {
        for (let sx = 0; sx < SAMPLES; sx += 1) {
          const it = sample(((px + (sx + 0.5) / SAMPLES) * 32) / size, ((py + (sy + 0.5) / SAMPLES) * 32) / size, round, scale);
          for (let at = 0; at < 4; at += 1) sum[at] += at < 3 ? it[at] * (it[3] / 255) : it[at];
        }
      }
      const alpha = sum[3] / (SAMPLES * SAMPLES * 255);
      const coarse = (value) => Math.round((Math.round((value / 255) * SHADES * 4) / (SHADES * 4)) * 255);
      const color = alpha === 0 ? "0,0,0,0" : [0, 1, 2].map((at) => coarse(sum[at] / (SAMPLES * SAMPLES * alpha))).concat(coarse(alpha * 255)).join();
      if (!palette.has(color)) palette.set(color, palette.size);
      rows[py * (size + 1) + px + 1] = palette.get(color);
    }
  }
  if (palette.size > 256) throw new Error(`${name}: ${palette.size} colors`);
  const colors = [...palette.keys()].map((key) => key.split(",").map(Number));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const transparent = colors.some((color) => color[3] < 255);
  writeFileSync(join(folder, name), Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(colors.flatMap((color) => color.slice(0, 3)))),
    ...(transparent ? [chunk("tRNS", Buffer.from(colors.map((color) => color[3])))] : []),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]));
}

draw("icon-192.png", 192, 8);
draw("icon-512.png", 512, 8);
// Maskable icons may be cut to a circle of 80 %, so the mark is smaller and the ground full.
draw("icon-maskable-512.png", 512, 0, 0.72);
draw("apple-touch-icon.png", 180, 0, 0.9);
