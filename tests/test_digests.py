"""Seeded results, bit for bit: a change that moves code about changes none of these digests.

They were recorded with the versions that `digests.json` names, on x86-64. Elsewhere the last bits
may differ by the rounding of a fused multiply-add, or by what NumPy and SciPy sum, so there they
are not compared. Those libraries choose their own loops by the processor: where that shows, the
record holds a digest for each `kind` of processor. Where a change of results is meant, record them
again and say why in the changelog: `python -m tests.test_digests`.
"""

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest
import scipy
from llvmlite import binding

import fastgrad as fg

RECORD = Path(__file__).with_name("digests.json")
DTYPES = (np.float32, np.float64)
SHAPE, K, SAMPLES, KEY = (37,), 7, 6, fg.Key(11)
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(*SHAPE, K)) * 2
ROWS[::5, 2] = -np.inf
COTANGENT = RNG.normal(size=(SAMPLES, *SHAPE, K))
TARGET = RNG.normal(size=(*SHAPE, K))
COMPLETE = np.argwhere(np.triu(np.ones((4, 4)), 1))  # edges of four nodes


def digest(result):
    """Digest of the arrays in a result: what they hold, their shapes and their types."""
    found = hashlib.sha256()

    def add(x):
        if isinstance(x, dict):
            for name in sorted(x):
                found.update(name.encode())
                add(x[name])
        elif isinstance(x, tuple):
            for item in x:
                add(item)
        elif x is not None:
            x = np.ascontiguousarray(x)
            found.update(f"{x.shape} {x.dtype}".encode() + x.tobytes())

    add(result)
    return found.hexdigest()[:16]


def functions(dtype):
    """Return calls by name: everything that is drawn from logits of a type, and its products."""
    x, c, g = ROWS.astype(dtype), COTANGENT.astype(dtype), fg.random
    few = {"num_samples": SAMPLES, "rng": KEY}
    soft = {"temperature": 0.6, **few}
    vjp = {"temperature": 0.6, "rng": KEY}
    b, cb = fg.bernoulli, c[..., 0]
    long, square = np.linspace(-3, 3, 700, dtype=dtype), TARGET[:7].astype(dtype)
    dense = TARGET.astype(dtype)
    calls = {
        "log_softmax": lambda: fg.log_softmax(x),
        "entropy": lambda: fg.entropy(x),
        "log_prob": lambda: fg.log_prob(x, fg.sample(x, **few)),
        "score": lambda: fg.score(x, fg.sample(x, **few)),
        "kl_divergence": lambda: fg.kl_divergence(x, x[:, ::-1] * dtype(0.5) + x),
        "sample": lambda: fg.sample(x, **few),
        "sample gumbel": lambda: fg.sample(x, method="gumbel", **few),
        "sample long": lambda: fg.sample(long, num_samples=200, rng=KEY),
        "gumbel_softmax": lambda: fg.gumbel_softmax(x, **soft),
        "gumbel_softmax log": lambda: fg.gumbel_softmax(x, log=True, **soft),
        "gumbel_softmax hard": lambda: fg.gumbel_softmax(x, hard=True, **soft),
        "gumbel_softmax_vjp": lambda: fg.gumbel_softmax_vjp(x, c, **vjp),
        "relax": lambda: fg.relax(x, **soft),
        "relax coupled": lambda: fg.relax(x, coupled=True, **soft),
        "relax long": lambda: fg.relax(long, **soft),
        "relax_vjp": lambda: fg.relax_vjp(x, c, c[::-1], **vjp),
        "relax_vjp coupled": lambda: fg.relax_vjp(x, c, c[::-1], coupled=True, **vjp),
        "bernoulli sample": lambda: b.sample(x[:, 0], **few),
        "bernoulli relax": lambda: b.relax(x[:, 0], **soft),
        "bernoulli relax_vjp": lambda: b.relax_vjp(x[:, 0], cb, cb[::-1], **vjp),
        "sinkhorn": lambda: fg.permutation.sinkhorn(square, temperature=0.3),
        "sinkhorn_vjp": lambda: fg.permutation.sinkhorn_vjp(square, square.T.copy()),
        "gumbel_sinkhorn": lambda: fg.permutation.gumbel_sinkhorn(square, **soft),
        "gumbel_matching": lambda: fg.permutation.gumbel_matching(square, **few),
        "plackett_luce": lambda: fg.permutation.sample(dense, **few),
        "gumbel_top_k": lambda: fg.subset.gumbel_top_k(x, 3, **few),
        "k_hot": lambda: fg.subset.k_hot(x, 3, **few),
        "marginals": lambda: fg.subset.marginals(x, 3),
        "relaxed_top_k": lambda: fg.subset.relaxed_top_k(x, 3, **soft),
        "relaxed_top_k_vjp": lambda: fg.subset.relaxed_top_k_vjp(x, c, 3, **vjp),
        "subset entropy": lambda: fg.subset.entropy(x, 3),
    }
    for noise in ("uniform", "exponential", "gumbel", "logistic", "normal"):
        draw = getattr(g, noise)
        calls[noise] = lambda draw=draw: draw((41, 13), rng=KEY, dtype=dtype)
    laws = fg.continuous
    one, two = x[:, 0], x[:, 1] * dtype(0.3)
    families = {
        "normal": laws.Normal(one, two),
        "gamma": laws.Gamma(two, one),
        "beta": laws.Beta(two, two[::-1]),
        "dirichlet": laws.Dirichlet(dense * dtype(0.3)),
        "student_t": laws.StudentT(one, two, two + 1),
        "von_mises": laws.VonMises(one, two),
    }
    counts = fg.counts
    families |= {
        "poisson": counts.Poisson(two),
        "binomial": counts.Binomial(one, 9),
        "negative_binomial": counts.NegativeBinomial(-abs(one) - 1, 2.5),
        "multinomial": counts.Multinomial(dense, 5),
        "spanning_tree": fg.trees.SpanningTree(dense[:, :6], COMPLETE),
    }
    for name, law in families.items():
        kind = "continuous" if isinstance(law, laws.Continuous) else "structured"
        calls[f"{kind} {name}"] = lambda law=law: law.sample(**few)
    return calls | relaxed(dtype, x, c, dense)


def relaxed(dtype, x, c, dense):
    """Return calls by name: what is sparse, and soft order statistics."""
    order, sparse, b, moved = fg.order, fg.sparse, fg.bernoulli, dense[::-1].copy()
    soft = {"temperature": 0.6, "num_samples": SAMPLES, "rng": KEY}
    calls = {
        "sparsemax": lambda: sparse.sparsemax(x),
        "entmax15_vjp": lambda: sparse.entmax15_vjp(x, c),
        "entmax": lambda: sparse.entmax(x, alpha=1.2),
        "entmax15_loss": lambda: sparse.entmax15_loss(dense, np.zeros(SHAPE, int)),
        "gumbel_entmax": lambda: sparse.gumbel_entmax(x, alpha=1.5, **soft),
        "hard_concrete": lambda: b.hard_concrete(x[:, 0], **soft),
    }
    for method in ("quadratic", "entropic", "laplace"):
        how = {"method": method, "temperature": 0.4}
        calls[f"soft_sort {method}"] = lambda how=how: order.soft_sort(x, **how)
        calls[f"soft_rank_vjp {method}"] = lambda how=how: order.soft_rank_vjp(dense, moved, **how)
        calls[f"soft_top_k {method}"] = lambda how=how: order.soft_top_k(x, 3, **how)
    return calls


def estimates():
    """Return calls by name: every estimator on one problem, from no state and from its own."""

    def f(x):
        return ((x - TARGET.astype(x.dtype)) ** 2).sum(-1).cumsum(-1)[..., -1]

    def grad(x):
        return 2 * (x - TARGET.astype(x.dtype))

    def f_of_bits(x):
        return ((x - TARGET[:, 0].astype(x.dtype)) ** 2).sum(-1)

    def slope_of_bits(x):
        return 2 * (x - TARGET[:, 0].astype(x.dtype))

    categorical = fg.objective(f, grad=grad), fg.Categorical(np.nan_to_num(ROWS, neginf=-4.0))
    bits = fg.objective(f_of_bits, grad=slope_of_bits), fg.Bernoulli(ROWS[:, 0])
    distinct = {"sum_and_sample", "unordered_set", "importance_weighted"}  # more than two
    single = {"enumerate", "arsm", *distinct}
    binary = {"arm", "arms", "disarm"}

    def run(name, kind, dtype):
        objective, distribution = kind
        logits = distribution.logits[:3] if name in single else distribution.logits
        target = TARGET[: len(logits)]
        if name in single:  # each variable an example of its own
            weights = target if logits.ndim == 2 else target[:, 0]
            axis = -1 if logits.ndim == 2 else ()
            objective = fg.objective(
                lambda x: ((x - weights.astype(x.dtype)) ** 2).sum(axis),
                grad=lambda x: 2 * (x - weights.astype(x.dtype)),
            )
        distribution = type(distribution)(logits.astype(dtype))
        estimator, state = fg.estimator(name), None
        for step in range(2):
            key = KEY.fold_in(step)
            found = estimator(objective, distribution, num_samples=4, rng=key, state=state)
            state = found.state
        return found

    calls = {}
    for name in fg.list_estimators():
        for kind, family in (("categorical", categorical), ("bernoulli", bits)):
            if name in (binary if kind == "categorical" else distinct):
                continue
            for dtype in DTYPES:
                calls[f"{name} {kind} {np.dtype(dtype)}"] = (
                    lambda name=name, family=family, dtype=dtype: run(name, family, dtype)
                )
    return calls


def pictures():
    """Return calls by name: dithered pictures."""
    y, x = np.mgrid[:40, :56] / 56
    rgb = np.stack([x, y, np.hypot(x - 0.4, y - 0.3)], -1)
    image = np.uint8(255 * np.clip(rgb, 0, 1))
    inks = np.array([[0, 0, 0], [255, 255, 255], [200, 30, 20]], np.uint8)

    def drawn(**options):
        found = fg.dither(image, rng=5, **options)
        return found.indices, found.palette

    return {
        "dither 6 colours": lambda: drawn(colors=6),
        "dither inks": lambda: drawn(palette=inks),
        "dither tiles": lambda: drawn(tiles="gbc", speed=8),
        "dither pattern": lambda: drawn(palette=inks, pattern="blue-noise"),
        "dither structure": lambda: drawn(colors=4, structure=0.3, speed=8),
    }


CASES = {
    f"{name} {np.dtype(dtype)}": call for dtype in DTYPES for name, call in functions(dtype).items()
}
CASES |= estimates() | pictures()


def versions():
    """What else the last bits depend on."""
    return {
        "numpy": np.__version__.rpartition(".")[0],
        "scipy": scipy.__version__.rpartition(".")[0],
        "machine": platform.machine(),
    }


def kind():
    """What NumPy and BLAS tell processors apart by."""
    features = binding.get_host_cpu_features()
    return next((name for name in ("avx512f", "avx2") if features.get(name)), "older")


def recorded():
    """Return the record's versions, and of each case the digests by kind of processor."""
    record = json.loads(RECORD.read_text())
    digests = record["digests"]
    for name, value in digests.items():
        if isinstance(value, str):  # the same on all
            digests[name] = dict.fromkeys(("avx512f", "avx2"), value)
    return record["versions"], digests


@pytest.mark.parametrize("name", CASES)
def test_same_bits_as_recorded(name):
    known, digests = recorded()
    if known != versions():
        pytest.skip(f"digests were recorded with {known}")
    expected = digests[name].get(kind())
    if expected is None:
        pytest.skip(f"its digest was not recorded with {kind()}")
    assert digest(CASES[name]()) == expected


def renewed(before, found):
    """Return what to record of a case whose digest is now `found` here.

    Where kinds of processors agreed they are taken to agree on a new digest; where they did not,
    that of the others is unknown until it is recorded there.
    """
    if not before or (len(before) > 1 and len(set(before.values())) == 1):
        return found
    return before if before.get(kind()) == found else {kind(): found}


if __name__ == "__main__":
    before = recorded()[1]
    found = {name: renewed(before.get(name, {}), digest(call())) for name, call in CASES.items()}
    RECORD.write_text(json.dumps({"versions": versions(), "digests": found}, indent=1) + "\n")
