"""Moments and comparisons: what they add to the estimates that they are made of."""

import numpy as np

from . import common

DRAWS = 1000


class Moments:
    params = common.grid(["exact", "drawn"])
    param_names = ("how",)

    def setup(self, how):
        import fastgrad as fg

        common.set_threads(1)
        f, samples = fg.objectives.bernoulli3(), {"exact": 4, "drawn": 16}[how]

        def call():
            return fg.moments("rloo", f, np.zeros(8), num_samples=samples, rng=0, draws=DRAWS)

        assert call().exact == (how == "exact")
        self.call = call

    def time_moments(self, how):
        self.call()


class Replicas:
    """Many estimates of a small problem side by side, over as many calls."""

    def track_ratio(self):
        import fastgrad as fg

        common.set_threads(1)
        rloo, f = fg.estimator("rloo"), fg.objectives.separable(np.full(10, 0.45))
        d, key = fg.Bernoulli(np.zeros(10)), fg.Key(0)

        def one_by_one():
            for i in range(DRAWS):
                rloo(f, d, num_samples=8, rng=key.fold_in(i))

        def together():
            fg.moments(rloo, f, d, num_samples=8, rng=0, draws=DRAWS)

        ours, theirs = common.best(together, 0.5, beside=one_by_one)
        return ours / theirs

    track_ratio.unit = "times"


class Compare:
    def setup(self):
        import fastgrad as fg

        common.set_threads(1)
        f, d = fg.objectives.separable(np.full(200, 0.499)), fg.Bernoulli(np.zeros(200))
        which = ["rloo", "gumbel_softmax"]
        self.compare = lambda: fg.compare(f, d, estimators=which, repeats=DRAWS, rng=0)
        self.auto = lambda: fg.estimator("auto", estimators=which)(f, d, num_samples=8, rng=0)
        self.compare()

    def time_compare(self):
        self.compare()

    def time_auto(self):
        self.auto()
