#!/usr/bin/env bash
# color-delta-e 1.3.0 (npm), deltaE: takes CSS colours as strings, lab() among them. It picks the digits out of such a
# string, without signs and cut at decimal points, and takes the first three numbers for red, green and blue: lab(50 20 30)
# and lab(50 -20 30), a brown and a green, are 0 apart, and two greys whose lightness differs by 10 are 3.77 apart. Arrays
# with type "lab" are right (CIE94, graphic arts, the first colour as reference).
#
# Why it matters here: measured inks are given in Lab, and a match of 0 looks like an exact one. Pass arrays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts color-delta-e@1.3.0 > install.txt
cat > lab.js <<'EOF2'
const { deltaE } = require("color-delta-e");

// CIE94 with the constants of the graphic arts.
function cie94(one, two) {
  const [dl, da, db] = one.map((x, i) => x - two[i]);
  const c = Math.hypot(one[1], one[2]);
  const dc = c - Math.hypot(two[1], two[2]);
  const dh2 = Math.max(da * da + db * db - dc * dc, 0);
  return Math.sqrt(dl ** 2 + (dc / (1 + 0.045 * c)) ** 2 + dh2 / (1 + 0.015 * c) ** 2);
}

const text = ([l, a, b]) => `lab(${l}% ${a} ${b})`;
const digits = (lab) => text(lab).match(/\d+/g).slice(0, 3).map(Number);
let seen = true;
for (const [one, two] of [
  [[50, 20, 30], [50, -20, 30]],
  [[50, 0, 0], [60, 0, 0]],
  [[50, 10, 30], [50, -10, 30]],
  [[50.2, 10, 30], [50.9, 30, 90]],
]) {
  const [said, arrays, strings] = [cie94(one, two), deltaE(one, two, "lab"), deltaE(text(one), text(two))];
  const asRgb = deltaE(digits(one), digits(two), "rgb");
  console.log(`${text(one)}, ${text(two)}: ${said.toFixed(3)}; arrays ${arrays.toFixed(3)}, strings ${strings.toFixed(3)}`);
  seen &&= Math.abs(arrays - said) < 1e-9 && Math.abs(strings - asRgb) < 1e-9 && Math.abs(strings - said) > 3;
}
process.exit(seen ? 0 : 1);
EOF2
node lab.js
