#!/usr/bin/env bash
# @thi.ng/pixel-dither 1.1.205 (npm), orderedDither: with n levels the tones are n/(n - 1) times too steep around
# the middle. In two levels all greys below a quarter are solid black and all above three quarters solid white,
# in four levels those of the first and last eighth. Its error diffusion (ditherWith) holds the same greys.
#
# Why it matters here: beside fastgrad's own threshold matrix it looks crisper, because half of all tones are
# gone. Hold the mean of flat greys against the input before a comparison: an ordered dither with k x k
# thresholds should hold it to one step in k^2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund @thi.ng/pixel-dither@1.1.205 @thi.ng/pixel@7.5.37 > install.txt
cat > greys.mjs <<'EOF2'
import { GRAY8, IntBuffer } from "@thi.ng/pixel";
import { FLOYD_STEINBERG, ditherWith, orderedDither } from "@thi.ng/pixel-dither";

const SIDE = 128;

function mean(level, dither) {
  const picture = new IntBuffer(SIDE, SIDE, GRAY8);
  picture.data.fill(level);
  dither(picture);
  return picture.data.reduce((sum, v) => sum + v, 0) / 255 / SIDE ** 2;
}

const clip = (x) => Math.max(0, Math.min(1, x));
const ordered = (n) => (picture) => orderedDither(picture, 8, n);
let seen = true;
console.log("grey of 255   mean: wanted, error diffusion, ordered in 2, 4 and 16 levels");
for (const level of [16, 31, 56, 96, 128, 160, 200, 225, 240]) {
  const wanted = level / 255;
  const diffused = mean(level, (picture) => ditherWith(FLOYD_STEINBERG, picture));
  const means = [2, 4, 16].map((n) => mean(level, ordered(n)));
  console.log(String(level).padStart(4), ...[wanted, diffused, ...means].map((x) => x.toFixed(3).padStart(7)));
  seen = seen && Math.abs(diffused - wanted) < 0.015;
  [2, 4, 16].forEach((n, i) => {
    const steep = clip(0.5 + (level / 256 - 0.5) * (n / (n - 1)));
    seen = seen && Math.abs(means[i] - steep) < 0.02;
  });
}
process.exit(seen ? 0 : 1);
EOF2
node greys.mjs
