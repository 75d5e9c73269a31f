"""A shift of a row of logits changes nothing: every public function of logits, both types."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg

INF = np.inf
SHIFTS = (0, 100, -100, 1e4, 1e5, 1e7, -1e7, 1e17, 1e30, -1e30)
Z = np.array([[0, 3, 1], [2, 2, 0]])
ORDER = np.array([[1, 3], [0, 2], [3, 0]])
POINT = np.array([0.1, 0.2, 0.3, 0.4])
SOFT = {"temperature": 0.7, "num_samples": 3, "rng": 5}
PRODUCT = {"temperature": 0.7, "rng": 5}
R = np.linspace(-1, 1, 36).reshape(3, 3, 4)
W = np.array([1.0, -2.0, 0.5])
LINEAR = fg.objectives.linear(R[0])

FUNCTIONS = {
    "log_softmax": lambda x, y: fg.log_softmax(x),
    "log_prob": lambda x, y: fg.log_prob(x, Z),
    "score": lambda x, y: fg.score(x, Z),
    "entropy": lambda x, y: fg.entropy(x),
    "entropy_vjp": lambda x, y: fg.entropy_vjp(x, W),
    "kl_divergence": lambda x, y: (fg.kl_divergence(x, y), fg.kl_divergence(y, x)),
    "kl_divergence_vjp": lambda x, y: (
        *fg.kl_divergence_vjp(x, y, W),
        *fg.kl_divergence_vjp(y, x, W),
    ),
    "sample": lambda x, y: fg.sample(x, num_samples=20, rng=1),
    "sample gumbel": lambda x, y: fg.sample(x, num_samples=20, rng=1, method="gumbel"),
    "gumbel_softmax": lambda x, y: fg.gumbel_softmax(x, **SOFT),
    "gumbel_softmax log": lambda x, y: fg.gumbel_softmax(x, log=True, **SOFT),
    "gumbel_softmax_vjp": lambda x, y: fg.gumbel_softmax_vjp(x, R, **PRODUCT),
    "relax": lambda x, y: fg.relax(x, **SOFT),
    "relax_vjp": lambda x, y: fg.relax_vjp(x, R, R, **PRODUCT),
    "concrete_log_prob": lambda x, y: fg.concrete_log_prob(
        x, np.broadcast_to(POINT.astype(x.dtype), x.shape), temperature=0.7
    ),
    "exp_concrete_log_prob": lambda x, y: fg.exp_concrete_log_prob(
        x, np.broadcast_to(np.log(POINT), x.shape), temperature=0.7
    ),
    "gumbel_top_k": lambda x, y: fg.subset.gumbel_top_k(x, 2, num_samples=9, rng=2),
    "subset.log_prob": lambda x, y: fg.subset.log_prob(x, ORDER),
    "subset.score": lambda x, y: fg.subset.score(x, ORDER),
    "subset.entropy": lambda x, y: fg.subset.entropy(x, 2),
    "subset.k_hot": lambda x, y: fg.subset.k_hot(x, 2, num_samples=9, rng=2),
    "subset.marginals": lambda x, y: fg.subset.marginals(x, 2),
    "subset.marginals_vjp": lambda x, y: fg.subset.marginals_vjp(x, R, 2),
    "relaxed_top_k": lambda x, y: fg.subset.relaxed_top_k(x, 2, **SOFT),
    "relaxed_top_k_vjp": lambda x, y: fg.subset.relaxed_top_k_vjp(x, R, 2, **PRODUCT),
    "permutation.sample": lambda x, y: fg.permutation.sample(x, num_samples=9, rng=2),
    "permutation.log_prob": lambda x, y: fg.permutation.log_prob(x, np.argsort(-R[0], axis=1)),
    "expectation": lambda x, y: LINEAR.expectation(fg.Categorical(x)),
    "exact": lambda x, y: fg.exact.value_and_grad(LINEAR.f, x),
    "enumerate": lambda x, y: result(fg.estimator("enumerate")(LINEAR.f, x, num_samples=1, rng=0)),
    "local_expectation": lambda x, y: result(
        fg.estimator("local_expectation")(LINEAR.f, x, num_samples=2, rng=3)
    ),
    "rloo": lambda x, y: result(fg.estimator("rloo")(LINEAR.f, x, num_samples=4, rng=3)),
}


def result(estimate):
    return estimate.value, estimate.grad


def shifted(dtype, shift, seed):
    """Rows whose distances to their maximum are exact in the type, and these distances."""
    step = max(np.spacing(dtype(abs(shift))), 0.25)
    place = np.random.default_rng(seed).integers(-6, 7, (3, 4))
    place[1] = 0
    x = (shift + step * place).astype(dtype)
    near = x - x.max(axis=1, keepdims=True)
    assert (near.astype(np.longdouble) == x.astype(np.longdouble) - x.max(1, keepdims=True)).all()
    return x, near


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_shift_changes_nothing(name, dtype):
    """Results are those of the row less its maximum, to a few roundings."""
    call = FUNCTIONS[name]
    eps = np.finfo(dtype).eps
    for shift in SHIFTS:
        (x, x_near), (y, y_near) = (shifted(dtype, shift, seed) for seed in (1, 2))
        got, want = call(x, y), call(x_near, y_near)
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (got, want))):
            if np.asarray(a).dtype.kind == "i":
                assert np.array_equal(a, b), shift
            else:
                scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
                np.testing.assert_allclose(a, b, rtol=64 * eps, atol=64 * eps * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [0, 1e4, 1e7, 1e30])
def test_equal_logits_are_equally_likely_at_any_height(dtype, shift):
    x = np.full((2, 4), shift, dtype)
    eps = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(fg.log_prob(x, np.zeros(2, int)), -np.log(4), rtol=eps)
    value, grad = fg.objectives.linear(np.array([[1.0, 2, 3, 4]] * 2)).expectation(
        fg.Categorical(x)
    )
    np.testing.assert_allclose(value, 5, rtol=eps)
    np.testing.assert_allclose(grad, [[-0.375, -0.125, 0.125, 0.375]] * 2, rtol=eps)


def test_densities_at_a_height():
    x = (np.array([0.0, 1, 2]) + 1e7).astype(np.float32)
    point = np.array([0.2, 0.3, 0.5], np.float32)
    assert fg.concrete_log_prob(x, point, temperature=0.7) == pytest.approx(-0.2496, abs=1e-4)
