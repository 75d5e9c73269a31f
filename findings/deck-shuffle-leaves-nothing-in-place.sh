#!/usr/bin/env bash
# deck 0.0.4 (npm), shuffle: documented as a uniform shuffle, it draws the partner of place i among 0 to i - 1, so
# that no element ever stays where it was. Three cards have 2 orders out of 6, two cards always change places,
# and n cards have (n - 1)! orders, the cycles (Sattolo's algorithm). Its weighted shuffle of three equal
# weights has all 6.
#
# Why it matters here: one order looks as random as another, so a look at the results shows nothing, and a
# shuffled control or a reference sampler of orders is wrong for few items above all. Count all orders of three
# before you take a shuffle as one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund deck@0.0.4 > install.txt
cat > orders.js <<'EOF2'
const deck = require("deck");

const DRAWS = 60000;

function orders(cards) {
  const counts = {};
  for (let i = 0; i < DRAWS; i++) {
    const order = deck.shuffle(cards).join("");
    counts[order] = (counts[order] || 0) + 1;
  }
  return counts;
}

const three = orders(["a", "b", "c"]);
const four = orders(["a", "b", "c", "d"]);
const weighted = orders({ a: 1, b: 1, c: 1 });
console.log("three cards:", three);
console.log("four cards:", Object.keys(four).length, "orders of 24");
console.log("three equal weights:", weighted);
const cycles = Object.keys(three).sort().join() === "bca,cab" && Object.keys(four).length === 6;
const inPlace = Object.keys(four).some((order) => [..."abcd"].some((card, i) => order[i] === card));
const even = Object.values(weighted).every((n) => Math.abs(n - DRAWS / 6) < 500);
process.exit(cycles && !inPlace && Object.keys(weighted).length === 6 && even ? 0 : 1);
EOF2
node orders.js
