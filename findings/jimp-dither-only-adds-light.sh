#!/usr/bin/env bash
# jimp 1.6.1 (npm), image.dither(): adds 1 to 16 to every channel, by a 4 x 4 matrix, and does nothing else. The
# picture becomes lighter by 8.5 of 255 everywhere, black included, and a flat grey has 16 levels instead of 1.
# Cut to the 5, 6 and 5 bits that its matrix is named for, black comes out as (5, 7, 5), which is greenish, since
# the noise is as large for green, whose steps are half as wide.
#
# Why it matters here: what the name promises, fewer colours at an equal mean, does not happen, so it is no
# baseline; and a judge sees a picture of all colours, nearly the original, beside one of a few.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund jimp@1.6.1 > install.txt
cat > greys.js <<'EOF2'
const { Jimp } = require("jimp");

const SIDE = 64;
let seen = true;
console.log("grey   mean   levels   means of red, green, blue cut to 5, 6, 5 bits");
for (const level of [0, 64, 128, 200, 239]) {
  const image = new Jimp({ width: SIDE, height: SIDE, color: (level * 0x1010100 + 255) >>> 0 });
  image.dither();
  const channel = (c) => Array.from(image.bitmap.data).filter((v, i) => i % 4 === c);
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / SIDE ** 2;
  const levels = new Set(channel(0)).size;
  const lighter = mean(channel(0)) - level;
  const cut = [0xf8, 0xfc, 0xf8].map((bits, c) => mean(channel(c).map((v) => v & bits)));
  console.log(level, mean(channel(0)), levels, cut.join(" "));
  seen = seen && lighter === 8.5 && levels === 16;
  if (level === 0) seen = seen && cut.join() === "5,7,5";
}
process.exit(seen ? 0 : 1);
EOF2
node greys.js
