#!/usr/bin/env bash
# floyd-steinberg 1.0.6 (npm): divides the error by 23 before it hands on the weights 7, 3, 5 and 1, so that
# 16/23 of it arrive, rounds downwards, and thresholds at 150. Flat greys up to 56 of 255 come out as solid
# black, those from 240 on as solid white, and 144 and 150 alike as half.
#
# Why it matters here: it is the package of that name, and a natural rival or reference in the browser. Error
# diffusion that hands on all of the error holds the mean of every grey to about a hundredth; a comparison with
# this one shows its loss of tones, not what Floyd and Steinberg's method can do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund floyd-steinberg@1.0.6 > install.txt
cat > greys.js <<'EOF2'
const packaged = require("floyd-steinberg");

const SIDE = 128;

function white(level) {
  const data = new Uint8ClampedArray(4 * SIDE * SIDE);
  for (let i = 0; i < data.length; i += 4) data.set([level, level, level, 255], i);
  packaged({ data, width: SIDE, height: SIDE });
  return data.filter((v, i) => i % 4 === 0 && v === 255).length / SIDE ** 2;
}

// Floyd and Steinberg's method: all of the error goes on, and nothing is rounded.
function whole(level) {
  const values = new Float64Array(SIDE * SIDE).fill(level);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const out = values[i] < 127.5 ? 0 : 255;
    const error = values[i] - out;
    const x = i % SIDE;
    count += out === 255;
    if (x + 1 < SIDE) values[i + 1] += (error * 7) / 16;
    if (x > 0) values[i + SIDE - 1] += (error * 3) / 16;
    values[i + SIDE] += (error * 5) / 16;
    if (x + 1 < SIDE) values[i + SIDE + 1] += error / 16;
  }
  return count / SIDE ** 2;
}

let seen = true;
console.log("grey of 255   share of white: wanted, package, all of the error handed on");
for (const level of [8, 32, 56, 80, 128, 144, 150, 192, 224, 240, 250]) {
  const [wanted, got, right] = [level / 255, white(level), whole(level)];
  console.log(String(level).padStart(4), ...[wanted, got, right].map((x) => x.toFixed(3).padStart(7)));
  seen = seen && Math.abs(right - wanted) < 0.015;
  if (level <= 56) seen = seen && got === 0;
  if (level >= 240) seen = seen && got === 1;
  if (level === 144 || level === 150) seen = seen && Math.abs(got - 0.5) < 0.01;
}
process.exit(seen ? 0 : 1);
EOF2
node greys.js
