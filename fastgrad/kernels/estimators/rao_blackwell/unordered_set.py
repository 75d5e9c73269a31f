"""Weights of k distinct outcomes given which they are, whatever their order: the unordered set.

A race: outcome s arrives at an exponential time of rate p_s. F(C) is the probability that all of C
arrive before anything outside the set, of mass q, where those of the set but not of C do not run.
Then P(S) = F(S), the weight of s is p_s F(S - s) / F(S), and that of a pair p_s p_t F(S - s - t) /
F(S): they make sum over pairs of pair (f_s - f_t) (score_s - score_t). Both ways to find F only add
and multiply positive numbers. Cells stand in columns, worked on together.

Oracle: tests/estimators/rao_blackwell/test_unordered_set.py, `precise_weights`.
"""

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import sqrt, where
from fastgrad.kernels.simd.special import exp_normal, expm1, log
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty

SUBSETS = 11  # largest k for which 2^k subsets take less time than an integral
CELLS = 64  # columns at most
LEAST = -690.0  # log q: what less mass outside would change is below 1e-299
DROP = 40.0  # an integral ends where its integrand is exp(-40) of its peak
HALVINGS = 7  # enough to find these ends


# -- few outcomes: all subsets -----------------------------------------------------------------


@block
def recurse(log_p, log_q, table, p, r, log_set, weight, pair):
    """F(C) = sum over s in C of F(C - s) p_s / (q + p(C)): s is the first of C to arrive.

    The table, (2^k, columns), holds F(C) times the product of r_s / p_s, r_s = q + p_s: it lies
    between 1 and k!. There is no log_set where that is empty.
    """
    wide_vectors()
    k, n = log_p.shape
    every, pairs = (1 << k) - 1, pair.reshape((k * k, n))
    for c in range(0, n, LANES):
        q = exp_normal(load(log_q, c))
        store(table, (0, c), filled(1.0))
        for s in range(k):
            x = exp_normal(load(log_p, (s, c)))
            store(p, (s, c), x)
            store(r, (s, c), x + q)
        for subset in range(1, 1 << k):
            row, total = filled(0.0), q
            for s in range(k):
                if subset >> s & 1:
                    row = row + load(r, (s, c)) * load(table, (subset ^ (1 << s), c))
                    total = total + load(p, (s, c))
            store(table, (subset, c), row / total)
        whole = load(table, (every, c))
        for s in range(k):
            rest, mine = every ^ (1 << s), load(r, (s, c))
            store(weight, (s, c), mine * (load(table, (rest, c)) / whole))
            for t in range(s):
                x = load(r, (t, c)) * (load(table, (rest ^ (1 << t), c)) / whole)
                store(pairs, (s * k + t, c), mine * x)
        if log_set.size:
            x = log(whole)
            for s in range(k):
                x = x + (load(log_p, (s, c)) - log(load(r, (s, c))))
            store(log_set, c, x)


# -- many: an integral over the time at which the first from outside arrives -------------------


@block
def arrive(out, rho, u):
    """out = (1 - exp(-rho u)) / rho: the probability of arrival by u, relative to the rate."""
    wide_vectors()
    for c in range(u.size):
        out[c] = -expm1(-rho[c] * u[c])
    for c in range(u.size):
        y = rho[c] * u[c]  # below 1e-8 perhaps 0, and the series at its end
        out[c] = u[c] * where(y > 1e-8, out[c] / y, 1.0 - 0.5 * y)


@block
def find_peak(rho, low, peak, high):
    """Bisect the slope of the integrand's logarithm, 1 - u + sum of y / (exp(y) - 1), y = rho u."""
    wide_vectors()
    k, n = rho.shape
    u, slope = empty((2, n))
    for c in range(n):
        low[c], high[c] = 0.0, log(1.0 + k)
    for _ in range(HALVINGS):
        for c in range(n):
            peak[c] = 0.5 * (low[c] + high[c])
            u[c] = exp_normal(peak[c])
            slope[c] = 1.0 - u[c]
        for s in range(k):
            for c in range(n):
                y = rho[s, c] * u[c]
                y = where(y > 1e-8, y, 1e-8)
                slope[c] += where(y < DROP, y / expm1(y), 0.0)
        for c in range(n):
            low[c] = where(slope[c] > 0.0, peak[c], low[c])
            high[c] = where(slope[c] > 0.0, high[c], peak[c])


@block
def find_start(rho, low, peak, there, arrived):
    """Bisect for the lower end; `there` is left with arrivals by the peak.

    Two factors are left out, those that drop most: in the integral of a pair two are missing.
    """
    wide_vectors()
    k, n = rho.shape
    x, u, high, share, height, least, second = empty((7, n))
    for c in range(n):
        low[c], high[c], u[c] = peak[c] - 1.5 * DROP, peak[c], exp_normal(peak[c])
    for s in range(k):
        arrive(there[s], rho[s], u)
    for _ in range(HALVINGS):
        for c in range(n):
            x[c] = 0.5 * (low[c] + high[c])
            u[c] = exp_normal(x[c])
        for c in range(n):  # each of the k factors has its share of the others: none is extreme
            share[c] = exp_normal((x[c] - peak[c] + exp_normal(peak[c]) - u[c]) / k)
            height[c], least[c], second[c] = 1.0, 1.0, 1.0
        for s in range(k):
            arrive(arrived, rho[s], u)
            for c in range(n):
                d = arrived[c] / there[s, c]
                height[c] *= share[c] * d
                second[c] = min(second[c], max(least[c], d))
                least[c] = min(least[c], d)
        for c in range(n):
            ended = height[c] < exp_normal(-DROP) * least[c] * second[c]
            low[c] = where(ended, x[c], low[c])
            high[c] = where(ended, high[c], x[c])


@block
def integrate(log_p, log_q, rho, a, log_set, weight, pair):
    """F(S) = integral of exp(-u) prod (1 - exp(-rho u)) du, u = q t: trapezia in x = log u.

    The integrand is analytic in |Im x| < pi / 2 and log-concave: at this spacing the error is
    below 1e-14. Given that time, s has the weight p_s / (1 - exp(-rho u)) and pairs products.
    """
    wide_vectors()
    k, n = log_p.shape
    low, peak, x, u, total, w, share, arrived = empty((8, n))
    there = empty((k, n))
    for s in range(k):
        for c in range(n):
            rho[s, c] = exp_normal(log_p[s, c] - log_q[c])
    find_peak(rho, low, peak, x)
    find_start(rho, low, peak, there, arrived)
    step = 1.0 / sqrt(13.5 + 2.2 * k)
    end = log(1.0 + k + DROP + sqrt(DROP * (DROP + 2.0 * (1.0 + k))))  # Chernoff's bound
    total[:], weight[:], pair[:] = 0.0, 0.0, 0.0
    first = low[0]
    for c in range(1, n):
        first = min(first, low[c])
    for i in range(int((end - first) / step) + 1):
        for c in range(n):
            x[c] = low[c] + i * step
            u[c] = exp_normal(x[c])
        for c in range(n):
            share[c] = exp_normal((x[c] - peak[c] + exp_normal(peak[c]) - u[c]) / k)
            w[c] = where(x[c] < end, 1.0, 0.0)
        for s in range(k):
            arrive(arrived, rho[s], u)
            for c in range(n):
                w[c] *= share[c] * (arrived[c] / there[s, c])
            for c in range(n):
                a[s, c] = exp_normal(log_q[c]) / arrived[c]
        for c in range(n):
            total[c] += w[c]
        for s in range(k):
            for c in range(n):
                arrived[c] = w[c] * a[s, c]
            for c in range(n):
                weight[s, c] += arrived[c]
            for t in range(s):
                for c in range(n):
                    pair[s, t, c] += arrived[c] * a[t, c]
    for c in range(log_set.size):
        log_set[c] = log(total[c] * step) + peak[c] - exp_normal(peak[c])
    for s in range(k):
        for c in range(log_set.size):
            log_set[c] += log_p[s, c] - log_q[c] + log(there[s, c])
        for c in range(n):
            weight[s, c] /= total[c]
        for t in range(s):
            for c in range(n):
                pair[s, t, c] /= total[c]


# -- what they are for -------------------------------------------------------------------------


@block
def set_coefficients(out, pair, x):
    """out_s = sum over t of pair_st (x_s - x_t)."""
    wide_vectors()
    k, n = x.shape
    pairs = pair.reshape((k * k, n))
    for c in range(0, n, LANES):
        for s in range(k):
            store(out, (s, c), filled(0.0))
        for s in range(k):
            mine, total = load(x, (s, c)), load(out, (s, c))
            for t in range(s):
                d = load(pairs, (s * k + t, c)) * (mine - load(x, (t, c)))
                total = total + d
                store(out, (t, c), load(out, (t, c)) - d)
            store(out, (s, c), total)


@kernel(cost=lambda log_p: log_p.size << min(len(log_p), SUBSETS))
def unordered(chunk, chunks, log_p, log_q, signal, log_set, weight, coefficient):
    """Weigh the sets log_p (k, M), and fill coefficient_s = sum over t of pair_st (x_s - x_t).

    The signal x and its coefficients are (k, n), n / M consecutive ones to each set. log_set is
    (M,), or empty if nobody asks.
    """
    k, m = log_p.shape
    per = signal.shape[1] // max(m, 1)
    columns = min(CELLS, (m + LANES - 1) // LANES * LANES)
    blocks = (m + columns - 1) // max(columns, 1)
    few = k <= SUBSETS
    table, pair = empty((1 << k if few else 1, columns)), empty((k, k, columns))
    x, y, a, b, w = empty((5, k, columns))
    lq, ls = empty(columns), empty(columns if log_set.size else 0)
    for i in chunk_range(blocks, chunk, chunks):
        begin, end = i * columns, min((i + 1) * columns, m)
        for c in range(columns):  # the last set again where sets end
            lq[c] = max(log_q[min(begin + c, m - 1)], LEAST)
        for s in range(k):
            for c in range(columns):
                x[s, c] = log_p[s, min(begin + c, m - 1)]
        if few:
            recurse(x, lq, table, a, b, ls, w, pair)
        else:
            integrate(x, lq, a, b, ls, w, pair)
        assign(log_set[begin:end], ls)  # of which there may be none
        for s in range(k):
            assign(weight[s, begin:end], w[s])
        for v in range(per):
            for s in range(k):
                for c in range(end - begin):
                    x[s, c] = signal[s, (begin + c) * per + v]
            set_coefficients(y, pair, x)
            for s in range(k):
                for c in range(end - begin):
                    coefficient[s, (begin + c) * per + v] = y[s, c]
