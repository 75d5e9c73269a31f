"""Whatever a user passes: the right result, or an error that names the argument, what and where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import DTYPES, logits

import fastgrad as fg
from fastgrad import _validate

INF, NAN = np.inf, np.nan
X = np.zeros((4, 3))
Z = np.zeros(4, int)

# Every public function that takes logits, called with these in place of good ones.
TAKES_LOGITS = {
    "log_softmax": lambda x: fg.log_softmax(x),
    "sample": lambda x: fg.sample(x, rng=0),
    "sample by noise": lambda x: fg.sample(x, rng=0, method="gumbel"),
    "log_prob": lambda x: fg.log_prob(x, Z),
    "score": lambda x: fg.score(x, Z),
    "entropy": lambda x: fg.entropy(x),
    "kl_divergence p": lambda x: fg.kl_divergence(x, X),
    "kl_divergence q": lambda x: fg.kl_divergence(X, x),
    "Categorical": lambda x: fg.Categorical(x),
    "gumbel_softmax": lambda x: fg.gumbel_softmax(x, temperature=1, rng=0),
    "gumbel_softmax_vjp": lambda x: fg.gumbel_softmax_vjp(x, X, temperature=1, rng=0),
    "relax": lambda x: fg.relax(x, temperature=1, rng=0),
    "relax_vjp": lambda x: fg.relax_vjp(x, X, X, temperature=1, rng=0),
    "concrete_log_prob": lambda x: fg.concrete_log_prob(x, X + 1 / 3, temperature=1),
    "exp_concrete_log_prob": lambda x: fg.exp_concrete_log_prob(x, X - 1, temperature=1),
}
by_function = pytest.mark.parametrize("call", TAKES_LOGITS.values(), ids=TAKES_LOGITS.keys())


def spoiled(value, where=(2, 1)):
    x = X.copy()
    x[where] = value
    return x


def row_of(value):
    x = X.copy()
    x[3] = value
    return x


@by_function
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (spoiled(NAN), r"logits .*nan.*\(2, 1\)"),
        (spoiled(INF), r"logits .*inf.*\(2, 1\)"),
        (spoiled(NAN, (0, 0)), r"logits .*nan.*\(0, 0\)"),
        (row_of(-INF), r"logits .*only -inf.*\(3,\)"),
        (np.full((4, 3), NAN), r"logits .*nan.*\(0, 0\)"),
        (np.zeros((4, 0)), r"logits .*K >= 1.*\(4, 0\)"),
        (np.float64(3.0), r"logits .*\(\*batch, K\).*\(\)"),
    ],
)
def test_bad_logits_are_refused(call, x, message, dtype):
    with pytest.raises(ValueError, match=message):
        call(x.astype(dtype))


@by_function
@pytest.mark.parametrize(
    "x",
    [
        np.array([["a", "b", "c"]] * 4),
        X.astype(object),
        X.astype(complex),
        X.astype("M8[s]"),
        np.zeros((4, 3), [("a", float)]),
        "logits",
        None,
        {"a": 1},
        [[None, 0.0, 0.0]] * 4,
    ],
    ids=[
        "strings",
        "objects",
        "complex",
        "dates",
        "records",
        "str",
        "None",
        "dict",
        "list of None",
    ],
)
def test_logits_that_are_not_real_are_refused(call, x):
    with pytest.raises(TypeError, match=r"logits .*dtype"):
        call(x)


def test_ragged_logits_are_refused():
    with pytest.raises(ValueError, match="logits must"):
        fg.sample([[0.0], [1.0, 2.0]], rng=0)


def test_other_real_types_are_converted():
    x = np.array([[0, 1, 2]])
    for kind in (int, np.int8, np.uint64, bool):
        assert fg.log_softmax(x.astype(kind)).dtype == np.float64
    assert fg.log_softmax(x.astype(np.float16)).dtype == np.float32
    assert fg.log_softmax(x.astype(">f4")).dtype == np.float32
    assert fg.log_softmax(x.astype(">f8")).dtype == np.float64
    assert fg.log_softmax([[0.0, 1.0]]).dtype == np.float64


def test_the_place_of_a_bad_logit_is_that_of_the_users_array():
    x = np.zeros((2, 3, 5000), np.float32)
    x[1, 2, 4321] = NAN
    with pytest.raises(ValueError, match=r"\(1, 2, 4321\)"):
        fg.sample(x, rng=0)
    x[1, 2, 4321] = 0
    x[1, 0] = -INF
    with pytest.raises(ValueError, match=r"\(1, 0\)"):
        fg.sample(x, rng=0)
    with pytest.raises(ValueError, match=r"only -inf"):
        fg.sample(np.full(3, -INF), rng=0)


def test_a_bad_logit_anywhere_is_found():
    """Also by many threads, and in the last place."""
    x = np.zeros(1_000_003, np.float32)
    for place in (0, 4095, 4096, 500_000, 1_000_002):
        for value in (NAN, INF):
            x[place] = value
            with pytest.raises(ValueError, match=rf"\({place},\)"):
                fg.log_softmax(x)
            x[place] = 0
    assert np.isfinite(fg.log_softmax(x)).all()


# -- options -----------------------------------------------------------------------------------

DRAWS = {
    "sample": lambda **o: fg.sample(X, **{"rng": 0, **o}),
    "gumbel_softmax": lambda **o: fg.gumbel_softmax(X, **{"rng": 0, "temperature": 1.0, **o}),
    "relax": lambda **o: fg.relax(X, **{"rng": 0, "temperature": 1.0, **o}),
}
RELAXES = {
    "gumbel_softmax": DRAWS["gumbel_softmax"],
    "relax": DRAWS["relax"],
    "gumbel_softmax_vjp": lambda **o: fg.gumbel_softmax_vjp(X, X, **{"rng": 0, **o}),
    "relax_vjp": lambda **o: fg.relax_vjp(X, X, X, **{"rng": 0, **o}),
    "concrete_log_prob": lambda **o: fg.concrete_log_prob(X, X + 1 / 3, **o),
    "exp_concrete_log_prob": lambda **o: fg.exp_concrete_log_prob(X, X - 1, **o),
}
by_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@pytest.mark.parametrize("call", RELAXES.values(), ids=RELAXES.keys())
@pytest.mark.parametrize(
    "temperature", [0, 0.0, -1, NAN, INF, -INF, "a", None, 1j, [0.0], np.ones(3), 0j, 10**400, True]
)
def test_bad_temperatures_are_refused(call, temperature):
    with pytest.raises((ValueError, TypeError), match="temperature"):
        call(temperature=temperature)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-300, 1e-39, 2.0**-60, 2.0**60, 1e39, 1e300])
def test_extreme_temperatures_give_numbers_or_are_refused(temperature, dtype):
    """1/temperature may leave the range of the type: never a silent NaN."""
    x = np.array([[0.0, 1.0, -INF], [3.0, 3.0, 3.0]], dtype)
    for log in (False, True):
        try:
            r = fg.relax(x, temperature=temperature, num_samples=5, rng=0, log=log)
            g = fg.relax_vjp(x, r.score, r.score, temperature=temperature, rng=0, log=log)
        except ValueError as error:
            assert "temperature" in str(error)  # noqa: PT017
            assert not 2.0**-60 <= temperature <= 2.0**60
            continue
        for a in (*r, *g):
            assert not np.isnan(a).any()


@pytest.mark.parametrize("temperature", [1, np.float32(0.5), np.int64(2), np.float64(0.1)])
def test_numbers_of_any_type_are_temperatures(temperature):
    assert fg.gumbel_softmax(X, temperature=temperature, rng=0).shape == (4, 3)


@by_draw
@pytest.mark.parametrize("count", [0, -1, 2.0, 1.5, "3", [2], True, NAN, 2**40])
def test_bad_sample_counts_are_refused(draw, count):
    with pytest.raises((ValueError, TypeError), match="num_samples"):
        draw(num_samples=count)


@by_draw
@pytest.mark.parametrize("name", ["row_offset", "sample_offset"])
@pytest.mark.parametrize("offset", [-1, 0.5, "0", None, True, 2**63])
def test_bad_offsets_are_refused(draw, name, offset):
    with pytest.raises((ValueError, TypeError), match=name):
        draw(**{name: offset})


@by_draw
def test_samples_beyond_the_last_counter_are_refused(draw):
    draw(sample_offset=2**32 - 2, num_samples=2)
    with pytest.raises(ValueError, match="sample_offset"):
        draw(sample_offset=2**32 - 1, num_samples=2)


@by_draw
@pytest.mark.parametrize("rng", [None, 1.5, "seed", True, [0], np.random.RandomState(0), object()])
def test_bad_rngs_are_refused(draw, rng):
    with pytest.raises(TypeError, match="rng"):
        draw(rng=rng)


@by_draw
def test_a_negative_seed_is_refused(draw):
    with pytest.raises(ValueError, match=r"seed|rng"):
        draw(rng=-1)


def test_rng_is_required():
    for call in (fg.sample, fg.gumbel_softmax, fg.relax, fg.random.normal):
        with pytest.raises(TypeError, match="rng"):
            call(X)


def test_products_refuse_a_generator():
    """Its state has moved on since the forward call."""
    for call in (
        lambda r: fg.gumbel_softmax_vjp(X, X, temperature=1, rng=r),
        lambda r: fg.relax_vjp(X, X, X, temperature=1, rng=r),
    ):
        with pytest.raises(TypeError, match=r"rng.*Generator"):
            call(np.random.default_rng(0))


@pytest.mark.parametrize("method", ["other", "", None, 3, ["inverse"]])
def test_bad_methods_are_refused(method):
    with pytest.raises((ValueError, TypeError), match="method"):
        fg.sample(X, rng=0, method=method)


def test_hard_and_log_do_not_go_together():
    with pytest.raises(ValueError, match="hard"):
        fg.gumbel_softmax(X, temperature=1, rng=0, hard=True, log=True)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((4, 3), np.float32),
        np.empty((3, 4)),
        np.empty((5, 4, 3)),
        np.empty((4, 3), order="F"),
        np.empty((4, 6))[:, ::2],
        np.empty((4, 3), ">f8"),
        np.empty((4, 3), int),
        np.empty((4, 3)).view(np.matrix),
        [[0.0] * 3] * 4,
        "out",
    ],
)
def test_bad_outputs_are_refused(out):
    calls = (
        lambda: fg.log_softmax(X, out=out),
        lambda: fg.score(X, Z, out=out),
        lambda: fg.gumbel_softmax(X, temperature=1, rng=0, out=out),
    )
    for call in calls:
        with pytest.raises(ValueError, match="out must be"):
            call()


def test_read_only_outputs_are_refused():
    out = np.empty((4, 3))
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"out must be .*writeable"):
        fg.log_softmax(X, out=out)


@pytest.mark.parametrize("out", [3, (1, 2), "relaxation", np.empty(4)])
def test_bad_relaxation_outputs_are_refused(out):
    with pytest.raises((ValueError, TypeError), match="out"):
        fg.relax(X, temperature=1, rng=0, out=out)


def test_one_bad_array_of_a_relaxation_is_named():
    good = fg.relax(X, temperature=1, rng=0)
    for i, name in enumerate(good._fields):
        bad = good._replace(**{name: np.empty(7)})
        with pytest.raises(ValueError, match=name):
            fg.relax(X, temperature=1, rng=0, out=bad)
        assert fg.relax(X, temperature=1, rng=0, out=good)[i] is good[i]


# -- categories, cotangents and points ---------------------------------------------------------


@pytest.mark.parametrize("call", [fg.log_prob, fg.score])
@pytest.mark.parametrize(
    ("z", "error"),
    [
        ([0, 1, 2, 3], ValueError),
        ([0, -1, 2, 0], ValueError),
        ([0, 1, 2], ValueError),
        (np.zeros((4, 4, 4), int), ValueError),
        (np.zeros((4, 2), int), ValueError),
        (np.uint64([0, 0, 0, 2**63]), ValueError),
        (np.int64([0, 0, 0, 2**32]), ValueError),
        ([0.0, 1.0, 2.0, 0.0], TypeError),
        (np.zeros(4, bool), TypeError),
        (["a"] * 4, TypeError),
        (None, TypeError),
        (np.zeros(4, object), TypeError),
    ],
)
def test_bad_categories_are_refused(call, z, error):
    with pytest.raises(error, match="z must"):
        call(X, z)


def test_no_samples_are_no_categories():
    empty = np.zeros((0, 4), int)
    assert fg.log_prob(X, empty).shape == (0, 4)
    assert fg.score(X, empty).shape == (0, 4, 3)


@pytest.mark.parametrize(
    ("cotangent", "error"),
    [
        (np.zeros((4, 2)), ValueError),
        (np.zeros(3), ValueError),
        (np.zeros((2, 2, 4, 3)), ValueError),
        (np.zeros((2, 3, 3)), ValueError),
        (0.0, ValueError),
        ("a", (ValueError, TypeError)),
        (np.zeros((4, 3), complex), TypeError),
        (np.zeros((4, 3), object), TypeError),
    ],
)
def test_bad_cotangents_are_refused(cotangent, error):
    with pytest.raises(error, match="cotangent"):
        fg.gumbel_softmax_vjp(X, cotangent, temperature=1, rng=0)
    with pytest.raises(error, match="relaxed_cotangent"):
        fg.relax_vjp(X, cotangent, temperature=1, rng=0)
    with pytest.raises(error, match="conditional_cotangent"):
        fg.relax_vjp(X, None, cotangent, temperature=1, rng=0)


def test_cotangents_must_agree_and_exist():
    with pytest.raises(ValueError, match="cotangent"):
        fg.relax_vjp(X, temperature=1, rng=0)
    with pytest.raises(ValueError, match="cotangent"):
        fg.relax_vjp(X, np.zeros((2, 4, 3)), np.zeros((3, 4, 3)), temperature=1, rng=0)


def test_kl_divergence_needs_shapes_that_broadcast():
    for other in (np.zeros((4, 2)), np.zeros((3, 3)), np.zeros((4, 1))):
        with pytest.raises(ValueError, match="q_logits"):
            fg.kl_divergence(X, other)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 2)), np.zeros((2, 2, 4, 3)), np.zeros(3), 0.5, "a", None]
)
def test_bad_points_are_refused(bad):
    with pytest.raises((ValueError, TypeError), match="x must"):
        fg.concrete_log_prob(X, bad, temperature=1)
    with pytest.raises((ValueError, TypeError), match="log_x must"):
        fg.exp_concrete_log_prob(X, bad, temperature=1)


@pytest.mark.parametrize("bad", [NAN, INF, -0.5, 0.0])
def test_points_outside_the_simplex_are_refused(bad):
    x = np.full((4, 3), 1 / 3)
    x[2, 1] = bad
    with pytest.raises(ValueError, match=r"x must.*\(2, 1\)"):
        fg.concrete_log_prob(X, x, temperature=1)
    with np.errstate(all="ignore"):
        log_x = np.log(x)
    with pytest.raises(ValueError, match=r"log_x must.*\(2, 1\)"):
        fg.exp_concrete_log_prob(X, log_x, temperature=1)


# -- anything at all ---------------------------------------------------------------------------

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.floats(), max_size=4),
    st.lists(st.lists(st.integers(), max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=1), st.integers(), max_size=2),
    hnp.arrays(
        st.one_of(hnp.scalar_dtypes(), hnp.byte_string_dtypes(), hnp.unicode_string_dtypes()),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=st.floats(width=32),
    ),
)


@given(ANYTHING, st.sampled_from(sorted(TAKES_LOGITS)))
def test_any_object_as_logits(x, name):
    """A result without NaN, or one of two errors with a message; never a crash."""
    try:
        with np.errstate(all="ignore"):
            TAKES_LOGITS[name](x)
    except (ValueError, TypeError) as error:
        assert str(error)  # noqa: PT017


@given(
    ANYTHING,
    st.sampled_from(["num_samples", "rng", "method", "out", "row_offset", "sample_offset"]),
)
def test_any_object_as_an_option(value, option):
    if option == "num_samples" and isinstance(value, int) and value > 10**6:
        return  # as asked, and too large for a test
    try:
        z = fg.sample(X, **{"rng": 0, option: value})
    except (ValueError, TypeError) as error:
        assert option in str(error) or "seed" in str(error) or "num_samples" in str(error)  # noqa: PT017
    else:
        assert z.dtype == np.int32


@given(ANYTHING)
def test_any_object_as_categories(z):
    try:
        result = fg.log_prob(X, z)
    except (ValueError, TypeError) as error:
        assert "z must" in str(error)  # noqa: PT017
    else:
        assert result.shape == np.shape(z)


@given(logits())
def test_inputs_are_left_alone(x):
    before, flags = x.copy(), x.flags.writeable
    z = fg.sample(x, rng=0)
    r = fg.relax(x, temperature=1, rng=0)
    fg.relax_vjp(x, r.score, r.score, temperature=1, rng=0)
    for call in (fg.log_softmax, fg.entropy, fg.Categorical):
        call(x)
    fg.score(x, z)
    assert np.array_equal(x, before)
    assert x.flags.writeable == flags


def test_checked_rows_are_read_only_views():
    x = np.zeros((2, 3, 4))
    rows, batch = _validate.rows(x)
    assert batch == (2, 3)
    assert rows.shape == (6, 4)
    assert np.shares_memory(rows, x)
    assert not rows.flags.writeable
    assert x.flags.writeable


@pytest.mark.parametrize("method", [np.array([]), np.array(["gumbel", "x"]), ["gumbel"], {}, None])
def test_choices_are_compared_with_nothing_but_choices(method):
    with pytest.raises(ValueError, match=r"method must be one of 'inverse', 'gumbel', got"):
        fg.sample(X, rng=0, method=method)


# -- what NumPy would read as a plain array, or call by its own words ---------------------------

MASKED = np.ma.masked_array(np.zeros((4, 3)), mask=np.eye(4, 3, dtype=bool))
SQUARE = np.zeros((3, 3))
TAKES_ARRAYS = {
    **{name: (call, "logits") for name, call in TAKES_LOGITS.items()},
    "log_prob z": (lambda x: fg.log_prob(X, np.ma.masked_array(Z, mask=Z == 0)), "z"),
    "entropy_vjp": (lambda x: fg.entropy_vjp(X, x[:, 0]), "cotangent"),
    "cotangent": (lambda x: fg.gumbel_softmax_vjp(X, x, temperature=1, rng=0), "cotangent"),
    "relax_vjp": (lambda x: fg.relax_vjp(X, X, x, temperature=1, rng=0), "conditional_cotangent"),
    "concrete_log_prob": (lambda x: fg.concrete_log_prob(X, x, temperature=1), "x"),
    "bernoulli": (lambda x: fg.bernoulli.sample(x, rng=0), "logits"),
    "bernoulli score": (lambda x: fg.bernoulli.score(X, x.astype(int)), "x"),
    "binary density": (lambda x: fg.bernoulli.concrete_log_prob(X, x, temperature=1), "x"),
    "log odds": (lambda x: fg.bernoulli.exp_concrete_log_prob(X, x, temperature=1), "log_odds"),
    "matching": (lambda x: fg.permutation.matching(x), "log_alpha"),
    "sinkhorn": (lambda x: fg.permutation.sinkhorn(x), "log_alpha"),
    "sinkhorn_vjp": (lambda x: fg.permutation.sinkhorn_vjp(SQUARE, x[:3]), "cotangent"),
    "permutation.sample": (lambda x: fg.permutation.sample(x, rng=0), "logits"),
    "marginals_vjp": (lambda x: fg.subset.marginals_vjp(X, x, 2), "cotangent"),
    "k_hot": (lambda x: fg.subset.k_hot(x, 2, rng=0), "logits"),
    "theta": (lambda x: fg.perturbed.solve(np.sign, x, num_samples=2, rng=0), "theta"),
    "solver": (lambda x: fg.perturbed.solve(lambda t: x + t, X, num_samples=2, rng=0), "solver"),
    "params": (lambda x: fg.optim.SGD(learning_rate=1).update(x, X), "params"),
    "grads": (lambda x: fg.optim.Adam().update(X, x), "grads"),
    "continuous": (lambda x: fg.continuous.Normal(x, X), "loc"),
    "value of f": (lambda x: fg.estimator("rloo")(lambda z: x[:, 0], X, num_samples=4, rng=0), "f"),
    "out": (lambda x: fg.log_softmax(X, out=x), "out"),
    "list of rows": (lambda x: fg.log_softmax(list(x)), "logits"),
}


@pytest.mark.parametrize("name", TAKES_ARRAYS)
def test_masked_arrays_are_refused(name):
    """Their masks would be lost, in a library whose masks are -inf."""
    call, argument = TAKES_ARRAYS[name]
    with pytest.raises((TypeError, ValueError), match=rf"{argument}.* .*[Mm]asked"):
        call(MASKED)


RAGGED = [[0.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: fg.gumbel_softmax_vjp(X, RAGGED, temperature=1, rng=0), "cotangent"),
        (lambda: fg.relax_vjp(X, RAGGED, temperature=1, rng=0), "relaxed_cotangent"),
        (lambda: fg.subset.marginals_vjp(X, RAGGED, 2), "cotangent"),
        (lambda: fg.subset.relaxed_top_k_vjp(X, RAGGED, 2, temperature=1, rng=0), "cotangent"),
        (lambda: fg.permutation.sinkhorn_vjp(SQUARE, RAGGED), "cotangent"),
        (lambda: fg.permutation.sample(RAGGED, rng=0), "logits"),
        (lambda: fg.bernoulli.concrete_log_prob(X, RAGGED, temperature=1), "x"),
        (lambda: fg.bernoulli.sample(RAGGED, rng=0), "logits"),
    ],
)
def test_ragged_lists_are_refused_by_name(call, argument):
    with pytest.raises(ValueError, match=rf"{argument} must be an array: its rows differ"):
        call()


@pytest.mark.parametrize("size", [2**63, 2**64, 10**30, 10**5000], ids=range(4))
def test_huge_integers_are_refused_by_name(size):
    x = np.zeros((3, 3))
    options = {"temperature": 1.0, "rng": 0, "max_iterations": size}
    for call, name in (
        (lambda: fg.permutation.sinkhorn(x, max_iterations=size), "max_iterations"),
        (lambda: fg.permutation.sinkhorn_vjp(x, x, max_iterations=size), "max_iterations"),
        (lambda: fg.permutation.gumbel_sinkhorn(x, **options), "max_iterations"),
        (lambda: fg.permutation.gumbel_sinkhorn_vjp(x, x, **options), "max_iterations"),
        (lambda: fg.exact.grad(lambda z: z[:, 0, 0], x, budget=size), "budget"),
        (lambda: fg.sample(x, num_samples=size, rng=0), "num_samples"),
        (lambda: fg.sample(x, row_offset=size, rng=0), "row_offset"),
        (lambda: fg.sample(x, sample_offset=-size, rng=0), "sample_offset"),
        (lambda: fg.subset.k_hot(x, size, rng=0), "k"),
        (lambda: fg.perturbed.solve_vjp(np.sign, x, x, num_samples=size, rng=0), "num_samples"),
    ):
        with pytest.raises(ValueError, match=rf"{name} must be .*got") as caught:
            call()
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("temperature", [np.array(0.5), np.array(0.5, "f4"), np.array(2)])
def test_a_temperature_may_be_an_array_of_no_axes(temperature):
    for call in RELAXES.values():
        got, want = call(temperature=temperature), call(temperature=temperature.item())
        pairs = zip(got, want) if isinstance(got, tuple) else [(got, want)]
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_temperature_for_all_may_be_an_array_of_one_number():
    found = fg.order.soft_sort(X, temperature=np.full((1, 1), 0.5))
    assert np.array_equal(found, fg.order.soft_sort(X, temperature=0.5))


def test_a_temperature_that_cannot_be_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"temperature must be one number .* got shape \(4,\)"):
        fg.order.soft_sort(X, temperature=np.ones(4))
    with pytest.raises(ValueError, match="temperature must be a finite number"):
        fg.gumbel_softmax(X, temperature=np.ma.masked_array(1.0, mask=True), rng=0)


class Foreign:
    """An array of another library, in a type that NumPy has not."""

    def __init__(self, dtype, answer):
        self.dtype, self.answer = dtype, answer

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_types_of_other_libraries_are_named():
    """pandas' nullable Float64 becomes objects, torch refuses bfloat16 and tensors with history."""
    objects = np.array([[0.0, None, 1.0]], object)
    with pytest.raises(TypeError, match="logits must be float32 or float64, got dtype Float64"):
        fg.log_softmax(Foreign("Float64", objects))
    unsupported = TypeError("Got unsupported ScalarType BFloat16")
    with pytest.raises(TypeError, match=r"logits must .* real numbers, got dtype torch.bfloat16"):
        fg.log_softmax(Foreign("torch.bfloat16", unsupported))
    history = RuntimeError("Can't call numpy() on Tensor that requires grad.")
    with pytest.raises(TypeError, match=r"logits must .*float32: Can't call"):
        fg.log_softmax(Foreign("torch.float32", history))
    message = "longdouble|float128"
    with pytest.raises(TypeError, match=rf"float64, got dtype ({message}): .*float16, integers"):
        fg.log_softmax(X.astype(np.longdouble))


def test_a_masked_array_is_to_be_filled_with_what_its_kind_has():
    with pytest.raises(TypeError, match=r"^logits must not be .* fill it first, with -inf$"):
        fg.sample(MASKED, rng=0)
    with pytest.raises(TypeError, match=r"^image must not be .* fill it first$"):
        fg.dither(np.ma.masked_array(np.zeros((4, 3), np.uint8)))
