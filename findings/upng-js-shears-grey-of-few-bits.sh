#!/usr/bin/env bash
# upng-js 2.1.0 (npm): a grey PNG of 1, 2 or 4 bits is read as if its pixels followed each other without a gap, while
# each row of a PNG starts with a new byte. Where a row does not fill its last byte, every row comes out shifted
# against the one above it, by 8 / bits pixels less the rest: the picture is sheared. There is no error, and the
# same picture as an indexed PNG is right, as it is in pngjs 7.0.0 and in the copy @pdf-lib/upng 1.0.1.
#
# Why it matters here: a picture in black and white is saved as 1 bit of grey by Pillow and most tools, and panels
# are 122, 250 or 1404 pixels wide. sharp-apng reads by it, and so do many pages. Hand it an indexed PNG, as
# is written here, or a width that fills whole bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund upng-js@2.1.0 @pdf-lib/upng@1.0.1 pngjs@7.0.0 > install.txt
cat > grey.mjs <<'EOF2'
import { createRequire } from "module";
import zlib from "zlib";

const require = createRequire(import.meta.url);
const upng = require("upng-js");
const copy = require("@pdf-lib/upng").default;
const { PNG } = require("pngjs");

const HEIGHT = 6;
const level = (x, y, bits) => (3 * x + 5 * y + x * y) % (1 << bits);

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(zlib.crc32(body), body.length + 4);
  return out;
}

// A PNG of colour type 0 (grey) or 3 (indexed, with the same greys), rows without a filter.
function file(width, bits, type) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(HEIGHT, 4);
  head[8] = bits;
  head[9] = type;
  const row = 1 + Math.ceil((width * bits) / 8);
  const rows = Buffer.alloc(row * HEIGHT);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < width; x++)
      rows[y * row + 1 + ((x * bits) >> 3)] |= level(x, y, bits) << (8 - bits - ((x * bits) & 7));
  const greys = [...Array(1 << bits).keys()].flatMap((v) => Array(3).fill((255 * v) / ((1 << bits) - 1)));
  const palette = type === 3 ? [chunk("PLTE", Buffer.from(greys))] : [];
  const parts = [chunk("IHDR", head), ...palette, chunk("IDAT", zlib.deflateSync(rows)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]);
}

const bytes = (data) => data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
const readers = [
  (data) => new Uint8Array(upng.toRGBA8(upng.decode(bytes(data)))[0]),
  (data) => new Uint8Array(copy.toRGBA8(copy.decode(bytes(data)))[0]),
  (data) => PNG.sync.read(data).data,
];

// The rows whose pixels are all right.
function right(pixels, width, bits) {
  const good = (y) =>
    [...Array(width).keys()].every((x) => pixels[4 * (y * width + x)] === (255 * level(x, y, bits)) / ((1 << bits) - 1));
  return [...Array(HEIGHT).keys()].filter(good).join("");
}

let seen = true;
console.log("bits  width   rows right: grey in upng-js   in its copy   in pngjs   indexed in upng-js");
for (const bits of [1, 2, 4])
  for (const width of [24, 33, 121, 250]) {
    const grey = readers.map((read) => right(read(file(width, bits, 0)), width, bits));
    const indexed = right(readers[0](file(width, bits, 3)), width, bits);
    console.log(String(bits).padStart(4), String(width).padStart(6), grey[0].padStart(28), grey[1].padStart(13), grey[2].padStart(10), indexed.padStart(20));
    const whole = (width * bits) % 8 === 0;
    seen = seen && grey[1] === "012345" && grey[2] === "012345" && indexed === "012345";
    seen = seen && (whole ? grey[0] === "012345" : grey[0].startsWith("0") && grey[0].length < 4);
  }
process.exit(seen ? 0 : 1);
EOF2
node grey.mjs
