#!/usr/bin/env bash
# ditherjs 0.10.0 (npm), algorithm "diffusion" with step > 1, which makes blocks: green and blue hand their errors on to the
# next blocks. Red writes one of its four shares between the blocks, where nobody looks, and another over what the
# block had been handed before. So greys get a tint: in the eight corner colours and blocks of 2 the grey 32 of 255 has
# 20 of red and 30 of green and blue, 224 has 238 and 226. With step 1 all three are right to half a level.
#
# Why it matters here: blocks of a few colours are the look that it is taken for, and a comparison there is one of
# tints. Scale the picture down first, dither it with step 1, and repeat the pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts ditherjs@0.10.0 > install.txt
cat > blocks.js <<'EOF2'
const DitherJS = require("ditherjs");

const SIDE = 96;
const CORNERS = [...Array(8).keys()].map((i) => [255 * (i & 1), 255 * ((i >> 1) & 1), 255 * (i >> 2)]);

// The means of red, green and blue of a flat grey, dithered.
function means(grey, step) {
  const data = new Uint8ClampedArray(4 * SIDE * SIDE).fill(255);
  for (let i = 0; i < SIDE * SIDE; i++) data.set([grey, grey, grey], 4 * i);
  const picture = { data, width: SIDE, height: SIDE };
  new DitherJS({ algorithm: "diffusion", step, palette: CORNERS }).ditherImageData(picture);
  return [0, 1, 2].map((c) => data.reduce((sum, v, i) => (i % 4 === c ? sum + v : sum), 0) / SIDE ** 2);
}

let seen = true;
for (const step of [1, 2, 4])
  for (const grey of [32, 64, 192, 224]) {
    const [red, green, blue] = means(grey, step);
    console.log(`step ${step}, grey ${grey}: red ${red.toFixed(1)}, green ${green.toFixed(1)}, blue ${blue.toFixed(1)}`);
    const towardsTheEnd = grey < 128 ? green - red : red - green;
    seen &&= green === blue && (step === 1 ? red === green && Math.abs(red - grey) < 1 : towardsTheEnd > 1.5);
    seen &&= step === 1 || (grey !== 32 && grey !== 224) || towardsTheEnd > 8;
  }
process.exit(seen ? 0 : 1);
EOF2
node blocks.js
