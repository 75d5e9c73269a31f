#!/usr/bin/env bash
# @aitjcize/epaper-image-convert 0.1.20 (npm), palette grayscale16: never prints the fifth of a panel's sixteen greys.
# The search for the nearest colour skips index 4, a place that six-colour panels leave free and that is a real
# level of a grey panel. A flat area of that grey becomes dots of its two neighbours; the other fifteen stay flat.
#
# Why it matters here: there are presets of such panels here. The fifth level lies in the shadows, where dots are
# seen best, and a comparison there is one of sixteen greys with fifteen. Count the levels of a result first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts @aitjcize/epaper-image-convert@0.1.20 > install.txt
cat > greys.mjs <<'EOF2'
import { GRAYSCALE16, processImage } from "@aitjcize/epaper-image-convert";

const SIDE = 32;

class Canvas {
  constructor(width, height) {
    Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
  }
  getContext() {
    return {
      putImageData: ({ data }) => this.data.set(data),
      drawImage: ({ data }) => this.data.set(data),
      getImageData: () => this,
    };
  }
}

function levels(grey, colorMethod) {
  const data = new Uint8ClampedArray(4 * SIDE * SIDE).fill(255);
  for (let i = 0; i < SIDE * SIDE; i++) data.fill(grey, 4 * i, 4 * i + 3);
  const { canvas } = processImage({ data, width: SIDE, height: SIDE }, {
    displayWidth: SIDE,
    displayHeight: SIDE,
    palette: GRAYSCALE16,
    params: { saturation: 1, contrast: 1, colorMethod, compressDynamicRange: false },
    createCanvas: (width, height) => new Canvas(width, height),
  });
  const found = new Set();
  for (let i = 0; i < SIDE * SIDE; i++) found.add(canvas.data[4 * i] / 17);
  return [...found].sort((a, b) => a - b).join();
}

let seen = true;
console.log("flat greys that the panel has, and the levels in the result, nearest in RGB and in Lab");
GRAYSCALE16.perceived.grays.forEach(([grey], level) => {
  const found = [levels(grey, "rgb"), levels(grey, "lab")];
  console.log(`level ${String(level).padStart(2)} (${String(grey).padStart(3)}): ${found.join("   ")}`);
  seen = seen && found.every((list) => list === (level === 4 ? "3,5" : String(level)));
});
process.exit(seen ? 0 : 1);
EOF2
node greys.mjs
