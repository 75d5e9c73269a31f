#!/usr/bin/env bash
# image-ssim 0.2.0 and image-q 4.0.0 (npm, quality.ssim, the same code): the score is NaN where both sides of a picture
# leave 1 when they are divided by 8, as do 65 x 65, 641 x 481 and 1025 x 769; of a picture with itself, too.
# The windows of 8 x 8 stand side by side, the last of such a picture is one pixel, and its variance is a sum
# divided by 0. One row or column less, and the same pictures have a score.
#
# Why it matters here: image-q is a usual rival for palettes, and scores itself so. NaN is neither below nor above a
# limit, so a check like "score < 0.9 fails" passes, and a maximum over settings that starts with one stays NaN. Crop
# pictures to whole windows, or measure elsewhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund image-ssim@0.2.0 image-q@4.0.0 > install.txt
cat > sizes.js <<'EOF2'
const { quality, utils } = require("image-q");
const { compare } = require("image-ssim");

function picture(width, height, step) {
  const data = new Uint8Array(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    const ramp = (3 * (i % width) + 5 * Math.floor(i / width)) % 256;
    data.fill(ramp - (ramp % step), 4 * i, 4 * i + 3);
  }
  return { data, width, height, channels: 4 };
}

function scores(width, height, step) {
  const pair = [picture(width, height, 1), picture(width, height, step)];
  const points = pair.map(({ data }) => utils.PointContainer.fromUint8Array(data, width, height));
  return [compare(...pair).ssim, quality.ssim(...points)];
}

let seen = true;
console.log("size        with itself, and with a copy in 16 levels: image-ssim, image-q");
for (const [width, height] of [[64, 64], [65, 64], [64, 65], [65, 65], [66, 65], [257, 129], [256, 128], [641, 481]]) {
  const same = scores(width, height, 1);
  const other = scores(width, height, 16);
  console.log(`${width} x ${height}`.padEnd(10), same.join(" "), "  ", other.map((s) => s.toFixed(4)).join(" "));
  const corner = width % 8 === 1 && height % 8 === 1;
  seen = seen && same.every((s) => (corner ? Number.isNaN(s) : s === 1));
  seen = seen && other.every((s) => (corner ? Number.isNaN(s) : s > 0.5 && s < 1));
}
process.exit(seen ? 0 : 1);
EOF2
node sizes.js
