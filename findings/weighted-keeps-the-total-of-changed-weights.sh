#!/usr/bin/env bash
# weighted 1.0.0 (npm), select: keeps the sum of an array of weights in the array from the first draw on, and
# renews it for push, pop, shift, unshift and splice, not for weights[i] = x. After [1, 1, 1] has become
# [1, 1, 98] the last item is still drawn in a third of the draws instead of 0.98; set to [4, 1, 1] the first is
# drawn always. A copy of the same weights is drawn rightly. Where the sum falls much, most draws throw.
#
# Why it matters here: weights that are learnt or annealed are changed in place. A sampler that keeps anything
# derived from them (a sum, an alias table) must be told. fastgrad.sample reads the logits anew in each call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund weighted@1.0.0 > install.txt
cat > changed.js <<'EOF2'
const { select } = require("weighted");

const DRAWS = 30000;

function shares(weights) {
  const counts = weights.map(() => 0);
  for (let i = 0; i < DRAWS; i++) counts[select([0, 1, 2], weights)]++;
  return counts.map((n) => n / DRAWS);
}

const near = (got, wanted) => got.every((p, i) => Math.abs(p - wanted[i]) < 0.02);
let seen = true;
for (const [place, weight, stale] of [[2, 98, [1 / 3, 1 / 3, 1 / 3]], [0, 4, [1, 0, 0]]]) {
  const weights = [1, 1, 1];
  shares(weights);
  weights[place] = weight;
  const fresh = Array.from(weights);
  const named = fresh.join(" ");
  const sum = fresh.reduce((a, b) => a + b);
  const [changed, copied] = [shares(weights), shares(fresh)];
  console.log(named, "changed in place:", changed, "a copy:", copied);
  seen = seen && near(changed, stale) && near(copied, fresh.map((w) => w / sum));
}
process.exit(seen ? 0 : 1);
EOF2
node changed.js
