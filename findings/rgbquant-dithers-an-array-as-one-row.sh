#!/usr/bin/env bash
# rgbquant 1.1.2 (npm): reduce() takes an array of pixels, but no width (sample() has one), and diffuses errors
# as if the picture were one row. What should go to the rows below is lost, 9/16 of the error of
# Floyd-Steinberg and up to 3/4 of the others': flat greys up to a quarter of white turn solid black. The same
# pixels as an ImageData keep their tone.
#
# Why it matters here: Node has no ImageData, and what decodes pictures there gives arrays. Whoever compares
# dithering tools by such a script sees this loss of tones, not what the palette or the kernel can do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund rgbquant@1.1.2 > install.txt
cat > greys.js <<'EOF2'
const RgbQuant = require("rgbquant");

const SIDE = 128;

class Picture { // has what reduce() looks at in a browser's ImageData
  constructor(data) { Object.assign(this, { data, width: SIDE, height: SIDE }); }
  get [Symbol.toStringTag]() { return "ImageData"; }
}

function white(level, kernel, wrapped) {
  const data = new Uint8ClampedArray(4 * SIDE * SIDE);
  for (let i = 0; i < data.length; i += 4) data.set([level, level, level, 255], i);
  const quantizer = new RgbQuant({ palette: [[0, 0, 0], [255, 255, 255]], dithKern: kernel });
  const indices = quantizer.reduce(wrapped ? new Picture(data) : data, 2);
  return indices.reduce((a, b) => a + b) / indices.length;
}

let seen = true;
for (const kernel of ["FloydSteinberg", "Jarvis", "Sierra"]) {
  for (const level of [32, 64, 96, 128, 191]) {
    const [array, picture] = [false, true].map((wrapped) => white(level, kernel, wrapped));
    console.log(`${kernel}, grey ${level} (${(level / 255).toFixed(3)} of white): ` +
                `as an array ${array.toFixed(3)} white pixels, as an ImageData ${picture.toFixed(3)}`);
    seen = seen && Math.abs(picture - level / 255) < 0.05 && (level > 64 || array === 0);
  }
}
process.exit(seen ? 0 : 1);
EOF2
node greys.js
