"""Transport against iterations on logarithms, the optimum's equations, and finite differences."""

import numpy as np
import pytest
from fastgrad.transport import sinkhorn, sinkhorn_vjp
from scipy import optimize
from scipy.special import logsumexp

import fastgrad as fg
from fastgrad.kernels.distributions import transport as kernels

INF = np.inf
PENALTIES = [(INF, INF), (0.5, 2.0), (INF, 1.5), (40.0, INF), (0.02, 0.03)]
by_penalties = pytest.mark.parametrize(("row_penalty", "column_penalty"), PENALTIES)
EXACTLY = {"tolerance": 1e-13, "max_iterations": 5000}


def problems(batch, n, m, seed=0, *, balanced=True):
    """Random scores and masses; with the same sums if balanced."""
    rng = np.random.default_rng([seed, batch, n, m])
    a, b = rng.uniform(0.2, 2, size=(batch, n)), rng.uniform(0.2, 2, size=(batch, m))
    if balanced:
        b *= a.sum(1, keepdims=True) / b.sum(1, keepdims=True)
    return rng.normal(size=(batch, n, m)), a, b


def iterations(x, a, b, temperature, row_penalty, column_penalty, count=30_000):
    """Plan of one problem by plain iterations on logarithms, in float64."""
    x, g = x / temperature, np.zeros(x.shape[1])
    damping = [1 / (1 + temperature / p) for p in (row_penalty, column_penalty)]
    for _ in range(count):
        before = g
        f = damping[0] * (logsumexp(x - g, axis=1) - np.log(a))
        g = damping[1] * (logsumexp(x - f[:, None], axis=0) - np.log(b))
        if np.allclose(g, before, rtol=1e-15, atol=1e-15):
            break
    return np.exp(x - f[:, None] - g)


def objective(plan, x, a, b, temperature, row_penalty, column_penalty):
    """What a plan maximises, from the definition."""
    total = (plan * x).sum() - temperature * (plan * (np.log(plan) - 1)).sum()
    for mass, penalty, axis in ((a, row_penalty, 1), (b, column_penalty, 0)):
        have = plan.sum(axis=axis)
        if penalty < INF:
            total -= penalty * (have * np.log(have / mass) - have + mass).sum()
    return total


@by_penalties
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_plans_satisfy_the_equations_of_the_optimum(temperature, row_penalty, column_penalty):
    """The objective is strictly concave: what its derivative is 0 at is the only optimum."""
    balanced = row_penalty == column_penalty == INF
    for n, m in ((6, 6), (3, 20), (9, 1)):
        x, a, b = problems(3, n, m, balanced=balanced)
        how = {"row_penalty": row_penalty, "column_penalty": column_penalty}
        how["temperature"] = temperature
        found = sinkhorn(x, a, b, **how, **EXACTLY)
        f, g, plan = found.row_potentials, found.column_potentials, found.matrix
        again = np.exp((x - f[..., None] - g[:, None]) / temperature)
        np.testing.assert_allclose(plan, again, rtol=1e-9)
        for have, mass, penalty, y in (
            (plan.sum(axis=2), a, row_penalty, f),
            (plan.sum(axis=1), b, column_penalty, g),
        ):
            np.testing.assert_allclose(have, mass * np.exp(y / penalty), rtol=1e-8)
        assert (found.error < 1e-9).all()
        value = [objective(plan[i], x[i], a[i], b[i], **how) for i in range(3)]
        np.testing.assert_allclose(found.value, value, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("row_penalty", "column_penalty"), [(INF, INF), (0.5, 2.0), (INF, 1.5)])
def test_plans_equal_those_of_plain_iterations(row_penalty, column_penalty):
    x, a, b = problems(2, 5, 8)
    how = {"row_penalty": row_penalty, "column_penalty": column_penalty, "temperature": 0.8}
    found = sinkhorn(x, a, b, **how, **EXACTLY)
    for i in range(2):
        expected = iterations(x[i], a[i], b[i], **how)
        np.testing.assert_allclose(found.matrix[i], expected, rtol=1e-9)


def test_no_plan_is_better():
    """By a general optimiser, of the objective as it is defined."""
    x, a, b = problems(1, 3, 4, balanced=False)
    how = {"temperature": 0.3, "row_penalty": 0.7, "column_penalty": 2.0}
    given = x[0], a[0], b[0]

    def loss(y):
        return -objective(np.exp(y).reshape(3, 4), *given, **how)

    def slope(y):  # by complex steps: differences would end the search too early
        return np.array([loss(y + step).imag for step in 1e-20j * np.eye(12)]) / 1e-20

    best = optimize.minimize(loss, np.zeros(12), jac=slope, tol=1e-12)
    found = sinkhorn(x, a, b, **how, **EXACTLY)
    np.testing.assert_allclose(found.matrix[0], np.exp(best.x).reshape(3, 4), rtol=1e-4)
    assert found.value[0] == pytest.approx(-best.fun, rel=1e-10)


def test_masses_that_broadcast_need_no_machine_code_of_their_own():
    for rows in (np.full((3, 1), 0.5), np.asfortranarray(np.full((3, 2), 0.5))):
        sinkhorn(np.zeros((3, 2, 2)), rows, [0.5, 0.5])
    assert not [s for s in kernels.solve.dispatcher.signatures if "Array(float64, 2, 'F'" in str(s)]


def test_with_masses_of_one_it_is_the_sinkhorn_of_permutations():
    x = np.random.default_rng(3).normal(size=(4, 8, 8))
    ones, how = np.ones(8), {"temperature": 0.4, "tolerance": 1e-12}
    found = sinkhorn(x, ones, ones, **how).matrix
    expected = fg.permutation.sinkhorn(x, **how).matrix
    np.testing.assert_allclose(found, expected, atol=1e-10)


@by_penalties
def test_the_tolerance_is_kept(row_penalty, column_penalty):
    x, a, b = problems(6, 30, 40)
    how = {"row_penalty": row_penalty, "column_penalty": column_penalty}
    for temperature in (1.0, 0.1):
        found = sinkhorn(x, a, b, temperature=temperature, **how)
        assert (found.error <= 1.001e-4).all()
        assert found.iterations.max() < 500
        aims = a * np.exp(found.row_potentials / row_penalty)
        off = abs(found.matrix.sum(2) - aims).max(1) / aims.mean(1)
        assert (off <= 1.001e-4).all()


def test_a_large_penalty_needs_few_iterations():
    """Plain ones take about penalty / temperature of them to find the level of the potentials."""
    x, a, b = problems(4, 10, 10, balanced=False)
    found = sinkhorn(x, a, b, row_penalty=1e4, column_penalty=1e4, tolerance=1e-9)
    assert found.iterations.max() < 50
    assert (found.error <= 1e-9).all()


def test_costs_far_apart_do_not_overflow():
    x, a, b = problems(4, 6, 6)
    for scale in (1e3, 1e6):
        found = sinkhorn(-scale * abs(x), a, b, row_penalty=5.0, column_penalty=3.0)
        assert np.isfinite(found.matrix).all()
        assert np.isfinite(found.row_potentials).all()
        assert np.isfinite(found.column_potentials).all()
        found = sinkhorn(scale * x, a, b, max_iterations=20)
        assert np.isfinite(found.matrix).all()


def test_a_warm_start_saves_the_iterations():
    """The potentials of one temperature start another, and those of a solution end at once."""
    x, a, b = problems(5, 30, 30)
    first = sinkhorn(x, a, b, temperature=0.1)
    again = sinkhorn(x, a, b, temperature=0.1, start=first.column_potentials)
    assert again.iterations.max() <= 2 < first.iterations.min()
    cold = sinkhorn(x, a, b, temperature=0.09)
    warm = sinkhorn(x, a, b, temperature=0.09, start=first.column_potentials)
    assert warm.iterations.sum() < cold.iterations.sum()
    np.testing.assert_allclose(warm.matrix, cold.matrix, atol=1e-3)


@by_penalties
def test_problems_of_different_sizes_share_a_batch(row_penalty, column_penalty):
    """Each has the bits it has alone: masses of 0 are left out, whatever the scores there."""
    how = {"row_penalty": row_penalty, "column_penalty": column_penalty, "temperature": 0.5}
    sizes = ((3, 5), (7, 2), (7, 6))
    whole, a, b = np.full((3, 7, 6), 99.0), np.zeros((3, 7)), np.zeros((3, 6))
    w, alone, grads = np.random.default_rng(1).normal(size=(3, 7, 6)), [], []
    for i, (n, m) in enumerate(sizes):
        x, rows, columns = problems(1, n, m)
        whole[i, :n, :m], a[i, :n], b[i, :m] = x[0], rows[0], columns[0]
        alone.append(sinkhorn(x[0], rows[0], columns[0], **how))
        grads.append(sinkhorn_vjp(x[0], w[i, :n, :m].copy(), rows[0], columns[0], **how))
    whole[1, 3:, 4] = -INF
    found, grad = sinkhorn(whole, a, b, **how), sinkhorn_vjp(whole, w, a, b, **how)
    for i, (n, m) in enumerate(sizes):
        np.testing.assert_array_equal(found.matrix[i, :n, :m], alone[i].matrix)
        np.testing.assert_array_equal(found.column_potentials[i, :m], alone[i].column_potentials)
        np.testing.assert_allclose(found.value[i], alone[i].value, rtol=1e-12)
        np.testing.assert_allclose(grad.scores[i, :n, :m], grads[i].scores, atol=1e-12)
        assert found.matrix[i].sum() == pytest.approx(alone[i].matrix.sum())
        assert (grad.scores[i, n:] == 0).all()
        assert (grad.scores[i, :, m:] == 0).all()
        assert (grad.rows[i, n:] == 0).all()


def test_pairs_of_minus_infinity_get_nothing():
    x, a, b = problems(2, 5, 5)
    mask = np.random.default_rng(0).random(x.shape) < 0.2
    mask[:, range(5), range(5)] = False
    x[mask] = -INF
    how = {"row_penalty": 1.0, "column_penalty": 2.0}
    found = sinkhorn(x, a, b, **how, **EXACTLY)
    assert (found.matrix[mask] == 0).all()
    for i in range(2):
        expected = iterations(x[i], a[i], b[i], 1.0, 1.0, 2.0)
        np.testing.assert_allclose(found.matrix[i], expected, rtol=1e-8)
    grad = sinkhorn_vjp(x, np.ones(x.shape), a, b, **how)
    assert np.isfinite(grad.scores).all()
    assert (grad.scores[mask] == 0).all()


# -- derivatives -------------------------------------------------------------------------------


@by_penalties
@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 7), (6, 2)])
def test_products_with_the_jacobians(n, m, row_penalty, column_penalty):
    """By finite differences; masses move so that their sums stay the same where they must."""
    balanced, h = row_penalty == column_penalty == INF, 1e-5
    x, a, b = problems(2, n, m, balanced=balanced)
    rng = np.random.default_rng(2)
    v, w = rng.normal(size=(2, *x.shape))
    da, db = rng.normal(size=a.shape), rng.normal(size=b.shape)
    if balanced:
        db += ((da.sum(1) - db.sum(1)) / m)[:, None]
    how = {"temperature": 0.6, "row_penalty": row_penalty, "column_penalty": column_penalty}
    grad = sinkhorn_vjp(x, w, a, b, **how, **EXACTLY)
    found = (grad.scores * v).sum(), (grad.rows * da).sum() + (grad.columns * db).sum()
    moves = (v, 0 * da, 0 * db), (0 * v, da, db)
    for product, (dx, d_rows, d_columns) in zip(found, moves):
        up, down = (
            sinkhorn(x + s * dx, a + s * d_rows, b + s * d_columns, **how, **EXACTLY).matrix
            for s in (h, -h)
        )
        assert product == pytest.approx((w * (up - down)).sum() / (2 * h), rel=1e-6, abs=1e-8)


def test_the_plan_is_the_gradient_of_the_value():
    x, a, b = problems(2, 4, 5)
    v, h = np.random.default_rng(4).normal(size=x.shape), 1e-5
    for how in ({}, {"row_penalty": 0.7}, {"row_penalty": 1.0, "column_penalty": 0.2}):
        up, down = (sinkhorn(x + s * v, a, b, **how, **EXACTLY).value for s in (h, -h))
        plan = sinkhorn(x, a, b, **how, **EXACTLY).matrix
        slope = (plan * v).sum(axis=(1, 2))
        np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-7)


def test_the_product_of_permutations_is_the_same():
    x, w = np.random.default_rng(5).normal(size=(2, 3, 6, 6))
    how = {"temperature": 0.5, "tolerance": 1e-12}
    found = sinkhorn_vjp(x, w, np.ones(6), np.ones(6), **how).scores
    expected = fg.permutation.sinkhorn_vjp(x, w, **how)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.slow
def test_in_float32_it_is_that_of_float64():
    x, a, b = (y.astype(np.float32) for y in problems(4, 20, 30, balanced=False))
    how = {"row_penalty": 0.8, "column_penalty": 3.0, "temperature": 0.2}
    found = sinkhorn(x, a, b, **how, tolerance=1e-6)
    exact = sinkhorn(*(y.astype(np.float64) for y in (x, a, b)), **how, **EXACTLY)
    assert found.matrix.dtype == np.float32
    np.testing.assert_allclose(found.matrix, exact.matrix, rtol=1e-3, atol=1e-6)
    w = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    grad = sinkhorn_vjp(x, w, a, b, **how, tolerance=1e-6)
    wide = (y.astype(np.float64) for y in (x, w, a, b))
    expected = sinkhorn_vjp(*wide, **how, **EXACTLY)
    for one, other in zip(grad, expected):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5)


@pytest.mark.optional
@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
def test_it_agrees_with_pot():
    ot = pytest.importorskip("ot")
    x, a, b = problems(1, 12, 9, balanced=False)
    found = sinkhorn(x, a, b, temperature=0.3, row_penalty=0.7, column_penalty=2.0, **EXACTLY)
    expected = ot.unbalanced.sinkhorn_unbalanced(
        a[0], b[0], -x[0], 0.3, (0.7, 2.0), reg_type="entropy", stopThr=1e-14, numItermax=100_000
    )
    np.testing.assert_allclose(found.matrix[0], expected, rtol=1e-7)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros(3),), {}, r"scores must have shape \(\*batch, N, M\) .*, got \(3,\)"),
        ((np.full((2, 2), np.nan),), {}, "scores must be below infinity, got nan"),
        (
            (np.zeros((2, 2)), [1, 1], [1, 2]),
            {},
            "must have the same sum, or a penalty, got 2 and 3",
        ),
        ((np.zeros((2, 2)), [1, -1]), {}, "rows must be at least 0, got -1"),
        ((np.zeros((2, 2)), [0, 0]), {}, "rows must not all be 0"),
        ((np.zeros((2, 2)), [1, 1, 1]), {}, r"rows must broadcast to shape \(2,\), got shape"),
        ((np.zeros((2, 2)), [1, np.inf]), {}, "rows must be finite, got inf"),
        ((np.zeros((2, 2)),), {"row_penalty": 0.0}, "row_penalty must be a finite number above 0"),
        ((np.zeros((2, 2)),), {"temperature": 0.0}, "temperature must be"),
        (
            (np.float32([[3e38, -INF], [0, 0]]),),
            {"temperature": 0.5},
            r"scores / temperature must be from -2\*\*96 .* got 3e\+38 / 0.5 in size in problem 0",
        ),
        ((np.array([[0.0, -1e300]]),), {}, r"scores / temperature must be from -2\*\*768"),
        ((np.zeros((2, 2)),), {"start": [0, -1e300]}, r"start / temperature must be from"),
        ((np.zeros((2, 2)),), {"start": [np.nan, 0]}, "start must be finite, got nan"),
        ((np.zeros((2, 2)),), {"start": np.zeros(3)}, r"start must have shape \(2,\)"),
        (
            (np.array([[0.0, -INF], [0.0, -INF]]),),
            {"column_penalty": 1.0},
            "scores has only -inf in column 1 of problem 0",
        ),
        (
            (np.array([[-INF, 0.0], [0.0, 0.0]]), None, [1.0, 0.0]),
            {},
            "scores has only -inf in row 0 of problem 0",
        ),
    ],
)
def test_what_is_no_problem_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn(*arguments, **options)


@pytest.mark.parametrize("side", ["row", "column"])
@pytest.mark.parametrize(
    ("penalty", "temperature", "dtype"),
    [(1e-44, 1.0, np.float32), (1e-30, 2.0**60, np.float32), (1e-320, 1.0, np.float64)],
)
def test_a_penalty_that_the_type_does_not_hold_is_refused(side, penalty, temperature, dtype):
    words = f"{side}_penalty must be larger beside the temperature for {np.dtype(dtype)}, got"
    with pytest.raises(ValueError, match=words):
        sinkhorn(np.zeros((2, 3), dtype), temperature=temperature, **{f"{side}_penalty": penalty})


def test_masses_that_the_type_does_not_hold_are_refused():
    rows, columns = np.full(2, 3e39), np.full(3, 2e39)
    with pytest.raises(ValueError, match=r"rows must be smaller for float32, got 3e\+39"):
        sinkhorn(np.zeros((2, 3), np.float32), rows, columns)
    np.testing.assert_allclose(sinkhorn(np.zeros((2, 3)), rows, columns).matrix, 1e39)
