"""Estimators with an f that costs nothing: what is left is their own work.

4,096 variables of 16 categories (of two, and 8 times as many, where the literature is binary) and
16 samples. The ratio is that of the whole call to drawing what the estimator needs: its own draws,
with the features of outcomes where it asks for the gradient there; inner draws; for relaxed control
variates also the products with their Jacobians.
"""

import numpy as np

from . import common

SAMPLES = 16
BINARY = ("arm", "arms", "disarm")
EACH_ITS_OWN = ("unordered_set", "importance_weighted", "sum_and_sample")  # a value per variable
FEW = 4  # samples of these: their sets cost 2^S
NAMES = (
    *("rloo", "reinforce", "vimco", "muprop", "double_cv", "rodeo"),
    *("gumbel_softmax", "straight_through", "reinmax", "gapped_st", "st_gumbel", "gumbel_rao"),
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


def drawing(name, x, samples):
    """Return the call that draws what an estimator needs."""
    import fastgrad as fg
    from fastgrad.distributions import discrete

    key, run = fg.Key(common.KEY), fg.estimator(name)
    distribution = discrete.as_distribution(x)
    if name in ("rebar", "relax"):
        options = {"temperature": 0.5, "rng": key, "coupled": True}
        r = fg.relax(x, num_samples=samples, **options)

        def both():
            fg.relax(x, num_samples=samples, out=r, **options)
            fg.relax_vjp(x, r.relaxed, r.conditional, **options)

        return both
    if name == "gumbel_rao":

        def with_inner():
            fg.sample(x, num_samples=samples, rng=key)
            inner = run.inner_samples * samples
            fg.gumbel_softmax(x, temperature=0.5, num_samples=inner, rng=key)

        return with_inner
    asks_at_outcomes = "grad" in run.needs and run.name not in ("gumbel_softmax", "st_gumbel")

    def draw():
        draws = run.draw(distribution, samples, key)
        if asks_at_outcomes:
            discrete.features(distribution, draws)

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
        self.draw = drawing(name, x, samples)

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
        call, draw = common.best(bench.call, 0.3, beside=bench.draw)
        print(f"| {name} | {call * 1e3:.2f} | {call / draw:.2f} |", flush=True)
