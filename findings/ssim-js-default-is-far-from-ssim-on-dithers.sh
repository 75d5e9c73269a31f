#!/usr/bin/env bash
# ssim.js 3.5.0 (npm): the default algorithm, "weber", scores dithered pictures far higher than its own
# "original", the formula of the paper: 0.745 against 0.630 for 16 grey levels with a 4 x 4 threshold matrix,
# and half as much again for 4. On a smooth picture whose contrast is changed a little the two agree to 0.01.
#
# Why it matters here: it is the structural similarity of the browser and of screenshot tests. Windows of
# another shape see less of the dots, so a score by the default is no SSIM to quote or to hold beside one by
# scikit-image; ask for ssim: "original" (or "fast"), and downsample: false.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund ssim.js@3.5.0 > install.txt
cat > scores.js <<'EOF2'
const { ssim } = require("ssim.js");

const SIDE = 256;
const MATRIX = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];

function picture(value) {
  const data = new Uint8ClampedArray(4 * SIDE * SIDE);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const v = value(i % SIDE, Math.floor(i / SIDE));
    data.set([v, v, v, 255], 4 * i);
  }
  return { data, width: SIDE, height: SIDE };
}

const smooth = (x, y) => Math.max(0, Math.min(255, 128 + 60 * Math.sin(x / 23) + 50 * Math.cos(y / 31)));
const dithered = (levels) => (x, y) => {
  const level = (smooth(x, y) / 255) * (levels - 1) + (MATRIX[4 * (y % 4) + (x % 4)] + 0.5) / 16;
  return (Math.min(levels - 1, Math.floor(level)) * 255) / (levels - 1);
};
const original = picture(smooth);
const scores = (other) =>
  ["weber", "original", "fast"].map((name) => ssim(original, picture(other), { ssim: name, downsample: false }).mssim);

let seen = true;
for (const levels of [4, 8, 16, 32]) {
  const [weber, paper, fast] = scores(dithered(levels));
  console.log(`${levels} levels: default ${weber.toFixed(3)}, original ${paper.toFixed(3)}, fast ${fast.toFixed(3)}`);
  seen = seen && weber - paper > 0.03 && Math.abs(fast - paper) < 0.001;
}
const flatter = scores((x, y) => 128 + 0.8 * (smooth(x, y) - 128));
console.log("less contrast:", flatter.map((s) => s.toFixed(3)).join(", "));
process.exit(seen && Math.abs(flatter[0] - flatter[1]) < 0.01 ? 0 : 1);
EOF2
node scores.js
