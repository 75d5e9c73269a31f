"""Estimators with an f that costs nothing: what is left is their own work.

4,096 variables of 16 categories (of two, and 8 times as many, where the literature is binary) and
16 samples. The ratio is that of the whole call to drawing what the estimator needs: `sample` for
score functions, with the features of outcomes where the gradient is asked for there; whole sets of
distinct outcomes; coupled draws; inner draws; for what differentiates through samples, as for
relaxed control variates, also the products of its draws' Jacobians with the gradients.
"""

import time

import numpy as np

from . import common

SAMPLES = 16
BINARY = ("arm", "arms", "disarm")
EACH_ITS_OWN = ("unordered_set", "importance_weighted", "sum_and_sample")  # a value per variable
FEW = 4  # samples of these: their sets cost 2^S
SCORE_FUNCTIONS = ("rloo", "reinforce", "vimco", "muprop", "double_cv", "rodeo")
STRAIGHT_THROUGH = ("straight_through", "reinmax", "gapped_st", "optimal_st")
NAMES = (
    *SCORE_FUNCTIONS,
    *("gumbel_softmax", *STRAIGHT_THROUGH, "st_gumbel", "gumbel_rao", "reinmax_cv"),
    *("rebar", "relax", "disarm_iw", "carms", *BINARY, *EACH_ITS_OWN),
)


def problem(name, dtype=np.float32):
    """Return logits, an objective that costs nothing, and the number of samples."""
    import fastgrad as fg

    shape = (4096 * 8, 2) if name in BINARY else (4096, 16)
    samples = FEW if name in EACH_ITS_OWN else SAMPLES
    x = common.logits(*shape, dtype)
    rng = np.random.default_rng(3)
    cells = (shape[0],) if name in EACH_ITS_OWN else ()
    values = rng.normal(size=(3 * samples, *cells)).astype(dtype)
    gradient = rng.normal(size=(3 * samples, *shape)).astype(dtype)
    f = fg.objective(
        lambda x: values[: len(x)],
        grad=lambda x: gradient[: len(x)],
        index=lambda z: values[: len(z)],
    )
    return x, f, samples


def drawing(name, x, objective, samples):
    """Return the call that draws what an estimator needs."""
    import fastgrad as fg
    from fastgrad.distributions.categorical import as_distribution
    from fastgrad.estimators.relaxations.jacobians import Straight

    key, run = fg.Key(common.KEY), fg.estimator(name)
    distribution = as_distribution(x)
    options = {"temperature": 0.5, "rng": key}
    if name in ("rebar", "relax"):
        options["coupled"] = True
        r = fg.relax(x, num_samples=samples, **options)

        def draw():
            fg.relax(x, num_samples=samples, out=r, **options)
            fg.relax_vjp(x, r.relaxed, r.conditional, **options)

    elif name in ("gumbel_rao", "reinmax_cv"):

        def draw():
            fg.sample(x, num_samples=samples, rng=key)
            inner = run.inner_samples * samples
            fg.gumbel_softmax(x, num_samples=inner, **options)

    elif name in EACH_ITS_OWN:

        def draw():
            run.complete(distribution, len(x), run.draw(distribution, samples, key))

    elif name in SCORE_FUNCTIONS:

        def draw():
            z = fg.sample(x, num_samples=samples, rng=key)
            if name in ("double_cv", "rodeo"):
                distribution.features(z)

    elif name in STRAIGHT_THROUGH:
        gradient = objective.grad(np.empty((samples, *x.shape), x.dtype))

        def draw():
            z = run.draw(distribution, samples, key)
            distribution.features(z)
            products = Straight(distribution, 1.0)
            products.add(z, gradient)
            return products.total

    elif name in ("gumbel_softmax", "st_gumbel"):
        gradient = objective.grad(np.empty((samples, *x.shape), x.dtype))

        def draw():
            y = fg.gumbel_softmax(x, num_samples=samples, **options)
            fg.gumbel_softmax_vjp(x, gradient, **options)
            return y

    else:

        def draw():
            return run.draw(distribution, samples, key)

    return draw


class Estimators:
    params = common.grid(NAMES, [1, 2])
    param_names = ("estimator", "threads")

    def setup(self, name, threads):
        import fastgrad as fg

        common.set_threads(threads)
        x, f, samples = problem(name)
        run = fg.estimator(name)
        state = run(f, x, num_samples=samples, rng=common.KEY).state
        self.call = lambda: run(f, x, num_samples=samples, rng=common.KEY, state=state)
        self.draw = drawing(name, x, f, samples)

    def time_estimate(self, name, threads):
        self.call()

    def track_ratio(self, name, threads):
        call, draw = common.best(self.call, 0.3, beside=self.draw)
        return call / draw


class Memory:
    """Blocks bound what estimators hold, whatever the number of samples."""

    params = common.grid(("rloo", "rebar", "gumbel_rao"), [16, 256])
    param_names = ("estimator", "samples")

    def setup(self, name, samples):
        import fastgrad as fg

        common.set_threads(1)
        x, f, _ = problem(name)
        run = fg.estimator(name)
        self.call = lambda: run(f, x, num_samples=samples, rng=common.KEY, block_size=16)

    def peakmem_estimate(self, name, samples):
        self.call()


if __name__ == "__main__":
    bench = Estimators()
    print("| estimator | ms | over drawing |\n|---|---|---|")
    for name in NAMES:
        bench.setup(name, 1)
        call, draw = common.best(bench.call, 1.0, beside=bench.draw, clock=time.thread_time)
        print(f"| {name} | {call * 1e3:.2f} | {call / draw:.2f} |", flush=True)
