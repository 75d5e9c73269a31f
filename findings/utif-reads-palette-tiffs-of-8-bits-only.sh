#!/usr/bin/env bash
# utif 3.1.0 (npm), toRGBA8 of a palette TIFF with 1 or 4 bits: takes a whole byte for each pixel, where 8 or 2 pixels
# lie in one, and looks for green and blue 256 and 512 places behind red, where a palette of 2 or 16 colours has ended.
# What comes out are reds of wrong pixels and black, without an error. With 8 bits it is right; utif2 4.1.0 is right in
# all of them.
#
# Why it matters here: TIFF is what print shops and scanners take few colours in, and utif is what pages show TIFFs with.
# Pillow writes palettes with 8 bits; libtiff's tools and scanners write 1 and 4. Show them by utif2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts utif@3.1.0 utif2@4.1.0 > install.txt
cat > palette.js <<'EOF2'
const readers = { utif: require("utif"), utif2: require("utif2") };

const [WIDTH, HEIGHT] = [13, 6];
const index = (x, y, bits) => (3 * x + 5 * y + x * y) % (1 << bits);
const colour = (i) => [40 + 13 * i, 250 - 11 * i, 30 + 7 * i].map((v) => v & 255);

// A palette TIFF of one strip, little-endian; each colour as 257 times its 8 bits.
function file(bits) {
  const colours = 1 << bits;
  const row = Math.ceil((WIDTH * bits) / 8);
  const strip = Buffer.alloc(row * HEIGHT);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++) strip[y * row + ((x * bits) >> 3)] |= index(x, y, bits) << (8 - bits - ((x * bits) & 7));
  const [SHORT, LONG] = [3, 4];
  const tags = [
    [256, SHORT, 1, WIDTH], [257, SHORT, 1, HEIGHT], [258, SHORT, 1, bits], [259, SHORT, 1, 1], [262, SHORT, 1, 3],
    [273, LONG, 1, 0], [277, SHORT, 1, 1], [278, SHORT, 1, HEIGHT], [279, LONG, 1, strip.length], [320, SHORT, 3 * colours, 0],
  ];
  const end = 8 + 2 + 12 * tags.length + 4;
  tags[5][3] = end + 6 * colours;
  tags[9][3] = end;
  const head = Buffer.alloc(end + 6 * colours);
  head.write("II*\0\x08\0\0\0", "latin1");
  head.writeUInt16LE(tags.length, 8);
  tags.forEach(([tag, type, count, value], i) => {
    head.writeUInt16LE(tag, 10 + 12 * i);
    head.writeUInt16LE(type, 12 + 12 * i);
    head.writeUInt32LE(count, 14 + 12 * i);
    head.writeUInt32LE(value, 18 + 12 * i);
  });
  for (let i = 0; i < colours; i++) colour(i).forEach((v, c) => head.writeUInt16LE(257 * v, end + 2 * (c * colours + i)));
  return Buffer.concat([head, strip]);
}

function pixels(reader, data) {
  const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  const [page] = reader.decode(bytes);
  reader.decodeImage(bytes, page);
  return reader.toRGBA8(page);
}

let seen = true;
for (const bits of [1, 4, 8])
  for (const [name, reader] of Object.entries(readers)) {
    const found = pixels(reader, file(bits));
    const right = [0, 1, 2].map((c) => {
      const good = (i) => found[4 * i + c] === colour(index(i % WIDTH, Math.floor(i / WIDTH), bits))[c];
      return [...Array(WIDTH * HEIGHT).keys()].filter(good).length;
    });
    console.log(`${bits} bits, ${name}: of ${WIDTH * HEIGHT} pixels red is right in ${right[0]}, green in ${right[1]}, blue in ${right[2]}`);
    const all = right.every((n) => n === WIDTH * HEIGHT);
    seen &&= name === "utif" && bits < 8 ? right[1] === 0 && right[2] === 0 && !all : all;
  }
process.exit(seen ? 0 : 1);
EOF2
node palette.js
