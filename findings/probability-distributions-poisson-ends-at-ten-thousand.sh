#!/usr/bin/env bash
# probability-distributions 0.9.1 (npm): rpois draws means from 30 on as binomials of 10 000 trials. The variance is
# the mean times 1 - mean / 10 000, half of it at 5000, and from a mean of 10 000 on every draw is 10 000. rnbinom, in
# R's syntax, counts all trials but the last, where R counts failures: three successes at 1/2 take 5 on average, not 3.
# rchisq adds its non-centrality to a central variable: of 2 degrees and 4 the variance is 4, not 20.
#
# Why it matters here: counts by other packages are held against those of closed forms by mean and variance; the means
# of the first and the last are right. Use stdlib's samplers (npm), or NumPy's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund --ignore-scripts probability-distributions@0.9.1 > install.txt
cat > counts.js <<'EOF2'
const P = require("probability-distributions");

// Its uniforms come from the system; a generator with a seed in their place (mulberry32).
let state = 1;
P.prng = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

let seen = true;
function look(name, draws, said, found) {
  const mean = draws.reduce((s, x) => s + x, 0) / draws.length;
  const variance = draws.reduce((s, x) => s + (x - mean) ** 2, 0) / draws.length;
  const text = ([m, v]) => `mean ${m.toFixed(2)}, variance ${v.toFixed(2)}`;
  console.log(`${name}: ${text([mean, variance])}; the law: ${text(said)}; as described above: ${text(found)}`);
  const near = (a, b, share) => Math.abs(a - b) <= share * Math.abs(b);
  seen &&= near(mean, found[0], 0.02) && near(variance, found[1], 0.15);
  seen &&= said === found || !(near(mean, said[0], 0.02) && near(variance, said[1], 0.15));
}

const poisson = (m) => [m, m];
const binomial = (m) => [m, m * (1 - m / 10000)];
const TWENTY = poisson(20);
look("rpois(20)", P.rpois(5000, 20), TWENTY, TWENTY);
look("rpois(5000)", P.rpois(1000, 5000), poisson(5000), binomial(5000));
look("rpois(20000)", P.rpois(50, 20000), poisson(20000), [10000, 0]);
const failures = (n) => [n, 2 * n];
const ONE = failures(1);
look("rnbinom(1, 1/2)", P.rnbinom(20000, 1, 0.5), ONE, ONE);
look("rnbinom(3, 1/2)", P.rnbinom(20000, 3, 0.5), failures(3), [5, 6]);
look("rchisq(2, 4)", P.rchisq(20000, 2, 4), [6, 20], [6, 4]);
process.exit(seen ? 0 : 1);
EOF2
node counts.js
