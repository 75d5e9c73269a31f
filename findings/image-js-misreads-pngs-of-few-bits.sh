#!/usr/bin/env bash
# image-js 1.7.0 (npm), PNGs of fewer than 8 bits. Each row of a PNG starts with a new byte.
# - Indexed, 1, 2 or 4 bits: read as if pixels followed each other without a gap. Where a row does not fill its last
#   byte, every row is shifted against the one above it: the picture is sheared, in its right colours.
# - Grey, 1 bit: the bits that fill up a row are looked for in its first byte, not in its last. From 8 pixels of width
#   on no picture is right; one 8 pixels wide is all black. (Of 2 and 4 bits it throws an error.)
# fast-png 8.0.0, by which it reads, is right, and so is pngjs 7.0.0.
#
# Why it matters here: an indexed PNG of 1, 2 or 4 bits is what is written here for up to sixteen colours, and panels are
# 122, 250 or 1404 pixels wide. Black and white by Pillow is grey of 1 bit. Give such a program 8 bits or RGB, as
# Pillow's convert("RGB") makes, or a width that fills whole bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts image-js@1.7.0 fast-png@8.0.0 pngjs@7.0.0 > install.txt
cat > few.mjs <<'EOF2'
import zlib from "zlib";

import { convertIndexedToRgb, decode as decodeData } from "fast-png";
import { decode } from "image-js";
import pngjs from "pngjs";

const HEIGHT = 6;
const level = (x, y, bits) => (3 * x + 5 * y + x * y) % (1 << bits);
const shade = (v, bits) => (255 * v) / ((1 << bits) - 1);

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(zlib.crc32(body), body.length + 4);
  return out;
}

// A PNG of colour type 0 (grey) or 3 (indexed, with the same greys).
function file(width, bits, type) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(HEIGHT, 4);
  head.set([bits, type], 8);
  const row = 1 + Math.ceil((width * bits) / 8);
  const rows = Buffer.alloc(row * HEIGHT);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < width; x++)
      rows[y * row + 1 + ((x * bits) >> 3)] |= level(x, y, bits) << (8 - bits - ((x * bits) & 7));
  const greys = [...Array(1 << bits).keys()].flatMap((v) => Array(3).fill(shade(v, bits)));
  const palette = type === 3 ? [chunk("PLTE", Buffer.from(greys))] : [];
  const parts = [chunk("IHDR", head), ...palette, chunk("IDAT", zlib.deflateSync(rows)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]);
}

const red = (data, channels) => [...data].filter((_, i) => i % channels === 0);
const imageJs = (data) => red(decode(data).convertColor("RGB").getRawImage().data, 3);
const fastPng = (data) => red(convertIndexedToRgb(decodeData(data)), 3);
const other = (data) => red(pngjs.PNG.sync.read(data).data, 4);

// The rows whose pixels are all right.
function right(pixels, width, bits) {
  const good = (y) => [...Array(width).keys()].every((x) => pixels[y * width + x] === shade(level(x, y, bits), bits));
  return [...Array(HEIGHT).keys()].filter(good).join("");
}

const ALL = "012345";
let seen = true;
console.log("bits  width   rows right: indexed in image-js   in fast-png   in pngjs   grey in image-js   in pngjs");
for (const bits of [1, 2, 4])
  for (const width of [24, 33, 121, 250]) {
    const [indexed, grey] = [file(width, bits, 3), file(width, bits, 0)];
    const found = [imageJs, fastPng, other].map((read) => right(read(indexed), width, bits));
    const ofGrey = bits === 1 ? [imageJs, other].map((read) => right(read(grey), width, bits)) : ["", ""];
    const cells = [[bits, 4], [width, 6], [found[0], 32], [found[1], 13], [found[2], 10], [ofGrey[0], 18], [ofGrey[1], 10]];
    console.log(cells.map(([cell, size]) => String(cell).padStart(size)).join(" "));
    const whole = (width * bits) % 8 === 0;
    seen &&= found[1] === ALL && found[2] === ALL && (whole ? found[0] === ALL : found[0].length < 4);
    seen &&= bits > 1 || (ofGrey[0].length < 4 && ofGrey[1] === ALL);
  }
const narrow = imageJs(file(8, 1, 0));
console.log("grey of 1 bit, 8 pixels wide: the lightest that image-js sees is", Math.max(...narrow), "of", Math.max(...other(file(8, 1, 0))));
process.exit(seen && Math.max(...narrow) === 0 ? 0 : 1);
EOF2
node few.mjs
