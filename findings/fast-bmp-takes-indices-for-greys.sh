#!/usr/bin/env bash
# fast-bmp 4.0.1 (npm), and image-js 1.7.0, which reads by it: of an indexed BMP the palette is never read. With 8
# bits the numbers of the colours are handed out as one channel of grey, so that a picture in seven inks is read as
# greys of 0 to 6 of 255, which is black to the eye. With 1 bit the number 1 is white whatever the palette says: a
# file whose first colour is white is read as its negative. Nothing in the result tells, since there is no palette
# in it. bmp-js 0.1.0 gives the colours.
#
# Why it matters here: `--format bmp` of the command here writes an indexed BMP of 1, 4 or 8 bits for panels, and so do most
# tools that make a BMP of few colours. Hand such a program a PNG, or a BMP of 24 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts fast-bmp@4.0.1 image-js@1.7.0 bmp-js@0.1.0 > install.txt
cat > palette.mjs <<'EOF2'
import bmpJs from "bmp-js";
import { decode as decodeFast } from "fast-bmp";
import { decode } from "image-js";

const [WIDTH, HEIGHT] = [32, 7];
const INKS = [[0, 0, 0], [255, 255, 255], [0, 128, 0], [0, 0, 255], [255, 0, 0], [255, 255, 0], [255, 140, 0]];

// An indexed BMP, rows from the bottom up; 32 pixels fill whole words.
function file(palette, bits, index) {
  const row = (WIDTH * bits) / 8;
  const table = 4 * 2 ** bits;
  const out = Buffer.alloc(54 + table + row * HEIGHT);
  out.write("BM");
  [[2, out.length], [10, 54 + table], [14, 40], [18, WIDTH], [22, HEIGHT]].forEach(([at, v]) => out.writeUInt32LE(v, at));
  out.writeUInt16LE(1, 26);
  out.writeUInt16LE(bits, 28);
  out.writeUInt32LE(row * HEIGHT, 34);
  palette.forEach(([r, g, b], i) => out.set([b, g, r, 0], 54 + 4 * i));
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      out[54 + table + (HEIGHT - 1 - y) * row + ((x * bits) >> 3)] |= index(x, y) << (8 - bits - ((x * bits) & 7));
  return out;
}

// The colours of the pixels down the first column.
const column = (data, stride, of) => [...Array(HEIGHT).keys()].map((y) => of(data, y * WIDTH * stride));
const imageJs = (data) => {
  const image = decode(data).convertColor("RGB");
  return column(image.getRawImage().data, 3, (d, i) => [d[i], d[i + 1], d[i + 2]]);
};
const byBmpJs = (data) => column(bmpJs.decode(data).data, 4, (d, i) => [d[i + 3], d[i + 2], d[i + 1]]);
const text = (colours) => colours.map((c) => c.join(" ")).join(", ");

const stripes = file(INKS, 8, (x, y) => y);
const numbers = decodeFast(stripes);
console.log("seven stripes:", text(INKS));
console.log("bmp-js:       ", text(byBmpJs(stripes)));
console.log("fast-bmp:     ", numbers.channels, "channel,", column(numbers.data, 1, (d, i) => d[i]).join(", "), "and", Object.keys(numbers).join(" "));
console.log("image-js:     ", text(imageJs(stripes)));

const paper = file([[255, 255, 255], [0, 0, 0]], 1, (x, y) => (y === 3 ? 1 : 0));
const [wanted, found] = [byBmpJs(paper), imageJs(paper)].map((rows) => rows.map(([r]) => r));
console.log("a black line on paper, white first: bmp-js", wanted.join(" "), "  image-js", found.join(" "));

const indices = column(numbers.data, 1, (d, i) => d[i]).every((v, y) => v === y) && !("palette" in numbers);
const dark = imageJs(stripes).every((c, y) => c.every((v) => v === y)) && text(byBmpJs(stripes)) === text(INKS);
process.exit(indices && dark && found.every((v, y) => v === 255 - wanted[y]) ? 0 : 1);
EOF2
node palette.mjs
