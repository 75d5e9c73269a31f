#!/usr/bin/env bash
# jimp 1.6.1 (npm; its reader is bmp-ts 1.0.9): of an indexed BMP of 4 bits whose width is odd it reads the bottom row
# and leaves all others black, without an error. The pixel that is missing beside the last one of a row ends the
# reading of the picture, not of the row. Even widths, and 1 and 8 bits, are right; bmp-js 0.1.0 reads all.
#
# Why it matters here: 4 bits is what pictures in up to sixteen colours have, those for colour panels too, and
# --format bmp writes them. Where they go through jimp, in a test or a web service, keep the width even.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund jimp@1.6.1 bmp-ts@1.0.9 bmp-js@0.1.0 > install.txt
cat > rows.mjs <<'EOF2'
import bmp from "bmp-js";
import { Jimp } from "jimp";

const HEIGHT = 6;

// A picture of pixel (x, y) in the colour x + y, in the rows of a BMP, bottom first.
function file(width, bits) {
  const colors = bits === 1 ? 2 : 16;
  const row = 4 * Math.ceil((width * bits) / 32);
  const start = 54 + 4 * colors;
  const data = Buffer.alloc(start + row * HEIGHT);
  data.write("BM");
  data.writeUInt32LE(data.length, 2);
  data.writeUInt32LE(start, 10);
  [40, width, HEIGHT].forEach((value, i) => data.writeUInt32LE(value, 14 + 4 * i));
  data.writeUInt16LE(1, 26);
  data.writeUInt16LE(bits, 28);
  data.writeUInt32LE(row * HEIGHT, 34);
  data.writeUInt32LE(colors, 46);
  for (let i = 0; i < colors; i++) data.fill(red(i, colors), 54 + 4 * i, 57 + 4 * i);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < width; x++)
      data[start + row * (HEIGHT - 1 - y) + ((x * bits) >> 3)] |= ((x + y) % colors) << (8 - bits - ((x * bits) & 7));
  return data;
}

const red = (index, colors) => Math.round(255 - (155 * index) / (colors - 1)); // none is black

let seen = true;
console.log("bits  width   rows of 6 that are right, in jimp and in bmp-js");
for (const bits of [1, 4, 8])
  for (const width of [7, 8, 13, 122, 123]) {
    const data = file(width, bits);
    const read = [(await Jimp.read(data)).bitmap.data, bmp.decode(data).data];
    const right = read.map((pixels, way) => {
      const rows = [];
      for (let y = 0; y < HEIGHT; y++) {
        const at = (x) => pixels[4 * (y * width + x) + 3 * way];
        const colors = bits === 1 ? 2 : 16;
        if ([...Array(width).keys()].every((x) => at(x) === red((x + y) % colors, colors))) rows.push(y);
      }
      return rows.join("");
    });
    console.log(String(bits).padStart(4), String(width).padStart(6), "  ", right.join("   "));
    const partly = bits === 4 && width % 2 === 1;
    seen = seen && right[0] === (partly ? "5" : "012345") && right[1] === "012345";
  }
process.exit(seen ? 0 : 1);
EOF2
node rows.mjs
