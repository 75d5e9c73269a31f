#!/usr/bin/env bash
# d3-color-difference 0.1.3 (npm), differenceCmc: hands the three terms of CMC l:c (lightness, chroma and hue) to the
# square root as three arguments, where they should be added, and a square root takes the first. So the distance
# is that of lightness alone: a red and a green of the same lightness are 0 apart, and four fifths of colours
# are nearest by it to another of sixteen inks than by the formula. culori 4.0.2, of the same hand, adds them. Its
# CIEDE2000 and CIE94 are right.
#
# Why it matters here: CMC is a usual choice for mapping to inks, and a palette is searched by it. On greys and on tones
# of one hue it looks right. Take CIEDE2000 there, or culori.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund d3-color-difference@0.1.3 d3-color@1.4.1 culori@4.0.2 > install.txt
cat > cmc.mjs <<'EOF2'
import * as culori from "culori";
import d3Color from "d3-color";
import d3 from "d3-color-difference";

const names = ["Cmc", "Ciede2000", "Cie94"];
const theirs = (name) => (p, q) => d3["difference" + name](d3Color.lab(...p), d3Color.lab(...q));
const mode = ([l, a, b]) => ({ mode: "lab65", l, a, b });
const other = (name) => (p, q) => culori["difference" + name]()(mode(p), mode(q));

// Colours in a box around the greys, the same ones in each run.
let state = 1;
const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
const colour = () => [20 + 60 * uniform(), 120 * uniform() - 60, 120 * uniform() - 60];
const near = (x, y) => Math.abs(x - y) < 1e-3 * (1 + y);

const [red, green] = [[50, 60, 0], [50, -60, 0]];
const greys = [[40, 0, 0], [60, 0, 0]];
const worst = {};
for (const name of names) {
  const [f, g] = [theirs(name), other(name)];
  console.log(`${name}: red and green of one lightness ${f(red, green).toFixed(2)}, culori ${g(red, green).toFixed(2)};`, `two greys ${f(...greys).toFixed(2)}, culori ${g(...greys).toFixed(2)}`);
  worst[name] = Array.from({ length: 1000 }, () => [colour(), colour()]).filter(([p, q]) => !near(f(p, q), g(p, q))).length;
}
console.log("pairs of 1000 that differ from culori:", JSON.stringify(worst));

const nearest = (p, inks, f) => inks.reduce((best, ink, i) => (f(p, ink) < f(p, inks[best]) ? i : best), 0);
const inks = Array.from({ length: 16 }, colour);
const points = Array.from({ length: 1000 }, colour);
const moved = points.filter((p) => nearest(p, inks, theirs("Cmc")) !== nearest(p, inks, other("Cmc"))).length / 1000;
console.log(`share of colours whose nearest of sixteen inks is another: ${moved}`);

const f = theirs("Cmc");
const blind = f(red, green) === 0 && near(f(...greys), other("Cmc")(...greys)) && other("Cmc")(red, green) > 30;
process.exit(blind && moved > 0.7 && worst.Cmc > 990 && worst.Ciede2000 === 0 && worst.Cie94 === 0 ? 0 : 1);
EOF2
node cmc.mjs
