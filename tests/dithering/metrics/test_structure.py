"""Structure of dithered pictures: similarities against their definition, descent by brute force."""

import itertools

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.dithering import BlurredError
from fastgrad.dithering.metrics import structure
from fastgrad.dithering.optimiser.descent import descend, total
from fastgrad.dithering.optimiser.refinement import Refinement, of_picture, refine
from fastgrad.kernels.dithering.optimiser.descent import NEIGHBOURS

KINDS = {"ssim": structure.ssim, "cssim": structure.cssim, "ms_ssim": structure.ms_ssim}
each_kind = pytest.mark.parametrize("kind", KINDS)
BLACK_AND_WHITE = np.array([[0.0] * 3, [1.0] * 3])


def scene(height, width, seed=0):
    """A picture of slopes and edges, in [0, 1]."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    plane = 0.5 + 0.3 * np.sin(9 * y + 4 * x) + 0.2 * (x > 0.4 + 0.2 * y)
    noise = 0.05 * np.random.default_rng(seed).standard_normal((height, width, 3))
    return np.clip(plane[..., None] * [1.0, 0.9, 0.7] + noise, 0, 1)


def problem(kind, height=14, width=12, colors=3, samples=2, seed=0, dtype=np.float64, **options):
    """An objective and indices of a few pictures."""
    rng = np.random.default_rng(seed)
    palette = rng.random((colors, 3))
    f = KINDS[kind](scene(height, width), palette, dtype=dtype, **options)
    return f, rng.integers(0, colors, (samples, height, width), dtype=np.int32)


# -- the definitions, window by window -----------------------------------------------------------


def windows(shape):
    """Yield the weights of each window inside a picture, as an array of its shape."""
    radius = min(5, (min(shape) - 1) // 2)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    for y, x in itertools.product(*(range(n - 2 * radius) for n in shape)):
        weights = np.zeros(shape)
        weights[y : y + len(line), x : x + len(line)] = window
        yield weights


def terms(picture, reference, contrast=False, luminance=True):
    """Yield each window's loss, and which pixels it touches."""
    for w in windows(reference.shape):
        mx, my = (w * reference).sum(), (w * picture).sum()
        vx = (w * (reference - mx) ** 2).sum()
        vy = (w * (picture - my) ** 2).sum()
        covariance = (w * (reference - mx) * (picture - my)).sum()
        s = (2 * covariance + 0.0009) / (vx + vy + 0.0009)
        if luminance:
            s *= (2 * mx * my + 0.0001) / (mx**2 + my**2 + 0.0001)
        yield (min(2 * np.sqrt(vx), 1) if contrast else 1) * (1 - s), w > 0


def reference_loss(kind, picture, reference):
    if kind != "ms_ssim":
        return np.mean([loss for loss, _ in terms(picture, reference, kind == "cssim")])
    exponents, product = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]), 1.0
    count = max(1, sum(min(reference.shape) // 2**i >= 11 for i in range(5)))
    for i, power in enumerate(exponents[:count] / exponents[:count].sum()):
        last = i == count - 1
        similarity = 1 - np.mean([x for x, _ in terms(picture, reference, luminance=last)])
        product *= max(similarity, 1e-9) ** power
        height, width = (n // 2 * 2 for n in reference.shape)
        boxes = (height // 2, 2, width // 2, 2)
        picture, reference = (
            x[:height, :width].reshape(boxes).mean(axis=(1, 3)) for x in (picture, reference)
        )
    return 1 - product


@each_kind
@pytest.mark.parametrize("shape", [(14, 12), (1, 9), (4, 30), (25, 23)])
def test_values_are_those_of_the_definition(kind, shape):
    f, z = problem(kind, *shape)
    values = f.index(z)[0]
    for picture, value in zip(f.values[z], values, strict=True):
        expected = reference_loss(kind, picture, f.similarity.scales[0].reference)
        assert value == pytest.approx(expected, rel=1e-11, abs=1e-9)  # roots of roundings


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_ssim_is_scikit_images(dtype, tolerance):
    metrics = pytest.importorskip("skimage.metrics")
    image = scene(70, 45)
    z = (np.random.default_rng(1).random((2, 70, 45)) < image.mean(axis=2)).astype(np.int32)
    values, _ = structure.ssim(image, BLACK_AND_WHITE, dtype=dtype).index(z)
    for picture, value in zip(z, values, strict=True):
        expected = metrics.structural_similarity(
            image @ np.array([0.299, 0.587, 0.114]),
            picture.astype(float),
            data_range=1,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        assert 1 - value == pytest.approx(expected, abs=tolerance)


def test_cssim_weighs_windows_by_contrast():
    image = scene(40, 50)
    image[:, 20:] = 0.5  # flat: whatever is there counts nothing
    f = structure.cssim(image, BLACK_AND_WHITE, dtype=np.float64)
    z = (image.mean(axis=2) > 0.5).astype(np.int32)[None]
    other = z.copy()
    other[:, :, 31:] = 1 - other[:, :, 31:]
    assert f.index(z)[0] > 0
    np.testing.assert_array_equal(f.index(z)[0], f.index(other)[0])


def test_a_picture_is_similar_to_itself():
    image = scene(60, 40)
    for build in KINDS.values():
        for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
            similarity = build(image, BLACK_AND_WHITE, dtype=dtype).similarity
            plane = similarity.scales[0].reference[None]
            assert similarity.of(plane)[0] == pytest.approx(0, abs=tolerance)


def test_spaces():
    colours = np.array([[0.5, 0.25, 1.0], [0.0, 1.0, 0.5]])
    np.testing.assert_allclose(structure.luma(colours), colours @ [0.299, 0.587, 0.114])
    linear = ((colours + 0.055) / 1.055) ** 2.4 * (colours > 0.04)
    expected = linear @ [0.2126, 0.7152, 0.0722]
    np.testing.assert_allclose(structure.luma(colours, space="linear"), expected, rtol=1e-6)
    f = structure.ssim(scene(12, 12), colours, space="linear", dtype=np.float64)
    np.testing.assert_allclose(f.values, expected, rtol=1e-6)
    eight_bits = np.uint8([[0, 128, 255]])
    np.testing.assert_allclose(structure.luma(eight_bits), structure.luma(eight_bits / 255))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_samples_change_nothing(dtype, monkeypatch):
    f, z = problem("cssim", samples=5, dtype=dtype)
    x = np.eye(3, dtype=dtype)[z]
    whole = (*f.index(z), f.grad(x), f.local(z))
    monkeypatch.setattr(structure, "PIXELS", 2 * z[0].size)
    for a, b in zip(whole, (*f.index(z), f.grad(x), f.local(z)), strict=True):
        np.testing.assert_array_equal(a, b)


# -- the parts of the objective ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ssim", "cssim"])
def test_credit_is_the_sum_of_the_windows_that_touch_a_pixel(kind):
    f, z = problem(kind)
    reference = f.similarity.scales[0].reference
    for picture, credit in zip(f.values[z], f.index(z)[1], strict=True):
        parts = list(terms(picture, reference, kind == "cssim"))
        expected = sum(loss * touched for loss, touched in parts) / len(parts)
        np.testing.assert_allclose(credit, expected, rtol=1e-11, atol=1e-13)


@each_kind
def test_what_is_not_credited_does_not_depend_on_the_pixel(kind):
    """This makes estimates with credit unbiased."""
    f, z = problem(kind, 25, 23)
    rng = np.random.default_rng(1)
    for _ in range(10):
        y, x = rng.integers(0, z.shape[1:])
        rest = []
        for k in range(3):
            z[:, y, x] = k
            value, credit = f.index(z)
            rest.append(value - credit[:, y, x])
        np.testing.assert_allclose(np.ptp(rest, axis=0), 0, atol=1e-14)


@each_kind
@pytest.mark.parametrize("shape", [(14, 12), (25, 23), (1, 6)])
def test_gradient_is_that_of_finite_differences(kind, shape):
    f, _ = problem(kind, *shape)
    rng = np.random.default_rng(2)
    x = rng.dirichlet(np.ones(3), (2, *shape))
    grad = f.grad(x)
    for _ in range(8):
        i, h = tuple(rng.integers(0, x.shape)), 1e-6
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * h
            ends.append(f.f(moved)[0][i[0]])
        assert grad[i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-10)


@each_kind
@pytest.mark.parametrize(("shape", "colors"), [((14, 12), 3), ((23, 25), 2), ((1, 6), 4)])
def test_local_differences_by_brute_force(kind, shape, colors):
    f, z = problem(kind, *shape, colors=colors)
    table = f.local(z)
    assert table.shape == (*z.shape, colors)
    assert table.dtype == np.float64
    rng = np.random.default_rng(3)
    sites = itertools.product(*map(range, shape)) if np.prod(shape) < 200 else None
    for y, x in sites or rng.integers(0, shape, (40, 2)):
        for k in range(colors):
            changed = z.copy()
            changed[:, y, x] = k
            np.testing.assert_allclose(table[:, y, x, k], f.index(changed)[0], atol=1e-13)


@each_kind
def test_float32_is_near_float64(kind):
    f, z = problem(kind, 40, 50, dtype=np.float32)
    exact, _ = problem(kind, 40, 50)
    x = np.random.default_rng(4).dirichlet(np.ones(3), z.shape)
    np.testing.assert_allclose(f.index(z)[0], exact.index(z)[0], atol=2e-5)
    for a, b in ((f.local(z), exact.local(z)), (f.grad(x), exact.grad(x))):
        b = b - b.mean(axis=-1, keepdims=True)  # a shift of all colours has no effect
        a = a - a.mean(axis=-1, keepdims=True)
        assert np.abs(a - b).max() < 2e-3 * np.abs(b).max()


@each_kind
def test_two_colours_may_be_bernoulli_variables(kind):
    f, z = problem(kind, colors=2)
    x = np.random.default_rng(5).random(z.shape)
    pair = np.stack([1 - x, x], axis=-1)
    for a, b in zip(f.f(x), f.f(pair), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)
    np.testing.assert_allclose(f.grad(x), np.diff(f.grad(pair))[..., 0], atol=1e-15)
    estimate = fg.estimator("local_expectation")(
        f, fg.Bernoulli(np.zeros(z.shape[1:])), num_samples=2, rng=0
    )
    assert estimate.grad.shape == z.shape[1:]


@each_kind
@pytest.mark.parametrize(
    ("name", "samples"), [("rloo", 16), ("local_expectation", 4), ("rebar", 16)]
)
def test_estimators_agree_with_enumeration(kind, name, samples):
    """Two-sided at 8 standard errors of 60 means: a false alarm in 1e-8 or so for each number."""
    rng = np.random.default_rng(6)
    f = KINDS[kind](scene(3, 3), rng.random((2, 3)), dtype=np.float64)
    logits = rng.standard_normal((3, 3, 2))
    exact = fg.exact.grad(f, logits)
    estimator, key = fg.estimator(name), fg.Key(1)
    grads = [estimator(f, logits, num_samples=samples, rng=key.fold_in(i)).grad for i in range(60)]
    error = np.std(grads, axis=0, ddof=1) / np.sqrt(60)
    assert (np.abs(np.mean(grads, axis=0) - exact) <= 8 * error + 1e-12).all()


@pytest.mark.parametrize("kind", ["cssim", "ms_ssim"])
def test_credit_lowers_the_variance(kind):
    f, _ = problem(kind, 48, 48, colors=2)
    logits = np.zeros((48, 48, 2))
    plain = fg.objective(lambda x: f.f(x)[0])
    rloo = fg.estimator("rloo")
    spread = [np.square(rloo(g, logits, num_samples=8, rng=0).grad).sum() for g in (f, plain)]
    assert spread[0] < spread[1] / 2


# -- descent -------------------------------------------------------------------------------------


def dithered(kind, height, width, colors=3, dtype=np.float32, seed=0, sigma=1.0):
    """An objective, a blurred error, colours, and a random picture."""
    rng = np.random.default_rng(seed)
    image = scene(height, width)
    palette = BLACK_AND_WHITE if colors == 2 else rng.random((colors, 3))
    loss = BlurredError(image.astype(dtype), sigma=sigma, nu=0.02)
    f = KINDS[kind](image, palette, dtype=dtype)
    return rng.integers(0, colors, (height, width), dtype=np.uint8), loss, palette, f


def neighbouring(indices, colors):
    """Yield all pictures with one label changed, or two neighbours swapped."""
    height, width = indices.shape
    for y, x in itertools.product(range(height), range(width)):
        for k in range(colors):
            other = indices.copy()
            other[y, x] = k
            yield other
        for dy, dx in NEIGHBOURS:
            if 0 <= y + dy < height and 0 <= x + dx < width:
                other = indices.copy()
                other[y, x], other[y + dy, x + dx] = indices[y + dy, x + dx], indices[y, x]
                yield other


@pytest.mark.parametrize("kind", ["ssim", "cssim"])
@pytest.mark.parametrize(
    ("colors", "weight", "sigma"), [(3, 0.02, 1.0), (2, 0.5, 1.0), (3, 0.0, 1.0), (2, 0.5, 0.0)]
)
def test_descent_ends_where_no_move_is_better(kind, colors, weight, sigma):
    indices, loss, palette, f = dithered(kind, 17, 13, colors, np.float64, sigma=sigma)
    before = total(indices, loss, palette, f, weight)
    assert descend(indices, loss, palette, f, weight, sweeps=100) > 50
    after = total(indices, loss, palette, f, weight)
    assert after < 0.8 * before
    least = min(total(z, loss, palette, f, weight) for z in neighbouring(indices, colors))
    assert least > after - 1e-4 * after


def test_every_sweep_over_tiles_lowers_the_loss():
    indices, loss, palette, f = dithered("cssim", 80, 110)
    values = [total(indices, loss, palette, f, 0.1)]
    for _ in range(5):
        moves = descend(indices, loss, palette, f, 0.1, sweeps=1)
        values.append(total(indices, loss, palette, f, 0.1))
    assert (np.diff(values) <= 0).all()
    assert values[-1] < 0.5 * values[0]
    assert 0 < moves < 0.05 * indices.size


def test_wide_blurs_have_larger_tiles():
    indices, loss, palette, f = dithered("cssim", 150, 120, 2, sigma=5.0)
    before = total(indices, loss, palette, f, 0.1)
    descend(indices, loss, palette, f, 0.1, sweeps=2)
    assert total(indices, loss, palette, f, 0.1) < 0.8 * before


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (50, 9)])
def test_descent_of_small_and_narrow_pictures(shape):
    indices, loss, palette, f = dithered("ssim", *shape, colors=2)
    before = total(indices, loss, palette, f, 0.1)
    descend(indices, loss, palette, f, 0.1)
    assert total(indices, loss, palette, f, 0.1) <= before


@pytest.mark.parametrize("kind", ["ms_ssim", "picture"])
def test_descent_of_any_objective_with_local_differences(kind):
    indices, loss, palette, f = dithered("ms_ssim", 40, 46)
    if kind == "picture":  # the number of pixels of the first colour, which is known to be linear
        f = fg.objective(
            index=lambda z: (z == 0).mean(axis=(1, 2)),
            local=lambda z: (
                (z == 0).mean(axis=(1, 2))[:, None, None, None]
                + ((np.arange(3) == 0) - (z == 0)[..., None].astype(float)) / z[0].size
            ),
        )
    before = total(indices, loss, palette, f, 0.1)
    moves = descend(indices, loss, palette, f, 0.1, sweeps=200)
    after = total(indices, loss, palette, f, 0.1)
    assert moves > 100
    assert after < 0.8 * before


def test_descent_leaves_alone_what_has_no_local_differences():
    indices, loss, palette, _ = dithered("ssim", 20, 20)
    before = indices.copy()
    f = fg.objective(index=lambda z: np.zeros(len(z)))
    assert descend(indices, loss, palette, f, 1.0) == 0
    np.testing.assert_array_equal(indices, before)


# -- refinement ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "samples"),
    [("rloo", 32), ("gumbel_softmax", 8), ("rebar", 32), ("local_expectation", 1)],
)
def test_every_estimator_lowers_what_is_expected_of_the_metric(name, samples):
    """Without any descent, and below what the blurred error alone reaches."""
    _, loss, palette, f = dithered("cssim", 40, 48, 2)
    found = []
    for weight, estimator, count in ((0.3, name, samples), (0.0, "rloo", 2)):
        state = Refinement(
            loss,
            palette,
            objective=f,
            weight=weight,
            estimator=estimator,
            num_samples=count,
            steps=40,
        )
        values = list(state)
        assert values[-1] < 0.7 * values[0]
        found.append(f.index(state.argmax()[None].astype(np.int32))[0][0])
    assert found[0] < 0.995 * found[1]


def test_sampling_finds_better_pictures_than_descent_alone():
    indices, loss, palette, f = dithered("ms_ssim", 48, 48, 2)
    descended = indices.copy()
    descend(descended, loss, palette, f, 0.1)
    refined = refine(indices, loss, palette, objective=f, weight=0.1)
    values = [total(z, loss, palette, f, 0.1) for z in (indices, descended, refined)]
    assert values[2] < values[1] < values[0]
    assert refined.dtype == indices.dtype


def test_the_given_picture_is_never_made_worse():
    indices, loss, palette, f = dithered("cssim", 30, 30, 2)
    best = refine(indices, loss, palette, objective=f, weight=0.1)
    again = refine(best, loss, palette, objective=f, weight=0.1, steps=1, estimator="rloo")
    value = total(best, loss, palette, f, 0.1)
    assert total(again, loss, palette, f, 0.1) <= value
    untouched = refine(best, loss, palette, objective=f, steps=0, sweeps=0)
    np.testing.assert_array_equal(untouched, best)
    assert untouched is not best


@pytest.mark.parametrize("kind", ["cssim", "ms_ssim"])
def test_threads_do_not_change_a_picture(kind):
    indices, loss, palette, f = dithered(kind, 70, 90)
    results = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        picture = refine(indices, loss, palette, objective=f, steps=4, sweeps=3, rng=3)
        results.append((picture, *f.index(indices[None].astype(np.int32))))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["cssim", "ms_ssim"])
def test_pixels_that_do_not_count_stay(kind):
    indices, _, palette, f = dithered(kind, 40, 36)
    mask = np.add.outer(np.arange(40), np.arange(36)) % 7 > 1
    weights = mask * np.random.default_rng(0).uniform(0.5, 1.5, mask.shape)
    loss = BlurredError(scene(40, 36).astype(np.float32), weights=weights)
    before = total(indices, loss, palette, f, 0.01)
    descended = indices.copy()
    descend(descended, loss, palette, f, 0.01)
    refined = refine(indices, loss, palette, objective=f, weight=0.01, steps=20)
    for picture in (descended, refined):
        np.testing.assert_array_equal(picture[~mask], indices[~mask])
        assert total(picture, loss, palette, f, 0.01) < 0.8 * before


def test_grey_planes_and_the_eyes_kernel():
    image = scene(40, 36).mean(axis=2)
    loss = BlurredError(image[..., None].astype(np.float32), ppd=40)
    f = structure.cssim(np.repeat(image[..., None], 3, axis=2), BLACK_AND_WHITE)
    indices, greys = np.zeros((40, 36), np.uint8), BLACK_AND_WHITE[:, :1]
    refined = refine(indices, loss, greys, objective=f, steps=20)
    assert total(refined, loss, greys, f, 0.1) < 0.5 * total(indices, loss, greys, f, 0.1)


def test_callback_sees_every_step():
    indices, loss, palette, f = dithered("cssim", 16, 16, 2)
    seen = []
    refine(
        indices,
        loss,
        palette,
        objective=f,
        steps=3,
        callback=lambda state: seen.append((state.step, state.value, state.argmax().shape)),
    )
    assert [step for step, _, _ in seen] == [1, 2, 3]
    assert all(np.isfinite(value) and shape == (16, 16) for _, value, shape in seen)


def test_a_users_metric_of_pictures():
    image = scene(24, 24)
    palette = np.uint8([[0, 0, 0], [200, 180, 160], [255, 255, 255]])
    loss = BlurredError((image * 1.0).astype(np.float32))
    colours = palette / 255

    def edges(picture):
        """Half the squared error of horizontal differences, with its gradient's adjoint."""
        d = np.diff(picture - image.astype(np.float32), axis=2)
        return 0.5 * np.square(d).mean(axis=(1, 2, 3))

    def slope(picture):
        d = np.diff(picture - image.astype(np.float32), axis=2) / (24 * 23 * 3)
        out = np.zeros_like(picture)
        out[:, :, 1:] += d
        out[:, :, :-1] -= d
        return out

    f = of_picture(edges, palette, grad=slope)
    z = np.random.default_rng(0).integers(0, 3, (2, 24, 24), dtype=np.int32)
    np.testing.assert_allclose(f.index(z), edges(np.float32(colours)[z]))
    x = np.eye(3)[z] * 0.7 + 0.1
    step = np.zeros_like(x)
    step[1, 3, 4, 2] = 1e-2
    difference = (f.f(x + step) - f.f(x - step)) / 2e-2
    assert difference[1] == pytest.approx(f.grad(x)[1, 3, 4, 2], rel=1e-3)
    start = z[0].astype(np.uint8)
    for name, options in (("gumbel_softmax", {"num_samples": 2}), ("rloo", {})):
        better = refine(
            start, loss, colours, objective=f, weight=0.02, estimator=name, steps=30, **options
        )
        value = total(better, loss, colours, f, 0.02)
        assert value < 0.6 * total(start, loss, colours, f, 0.02)


def test_cssim_at_the_same_blurred_error():
    """The blurred error alone, traded for the plain one, is less similar at the same error."""
    image = np.repeat(scene(64, 64).mean(axis=2, keepdims=True), 3, axis=2)
    f = structure.cssim(image, BLACK_AND_WHITE)
    judge = BlurredError(image.astype(np.float32), sigma=1.5, nu=0.0)
    z = np.zeros((64, 64), np.uint8)

    def figures(loss, weight):
        options = {} if weight else {"estimator": "rloo", "num_samples": 2}
        picture = refine(z, loss, BLACK_AND_WHITE, objective=f, weight=weight, **options)
        return judge.of(picture, BLACK_AND_WHITE), f.index(picture[None].astype(np.int32))[0][0]

    plain = [
        figures(BlurredError(judge.planes.transpose(1, 2, 0), sigma=1.5, nu=nu), 0.0)
        for nu in (0.0, 0.01, 0.03)
    ]
    error, value = figures(judge, 0.1)
    assert plain[0][0] < error < plain[2][0]
    assert value < 0.995 * np.interp(error, *zip(*plain, strict=True))


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [*KINDS.values()])
def test_bad_pictures_and_palettes(build):
    image = scene(12, 12)
    for bad, message in (
        ((image[..., 0], BLACK_AND_WHITE), "image must have shape"),
        ((image, [0.0, 1.0]), "palette must have shape"),
        ((2 * image, BLACK_AND_WHITE), "image must be from 0 to 1"),
        ((image, 2 * BLACK_AND_WHITE), "palette must be from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            build(*bad)
    with pytest.raises(ValueError, match="space must be one of"):
        build(image, BLACK_AND_WHITE, space="lab")
    with pytest.raises(ValueError, match="dtype must be one of"):
        build(image, BLACK_AND_WHITE, dtype=np.float16)
    f = build(image, BLACK_AND_WHITE)
    with pytest.raises(ValueError, match="must have shape"):
        fg.estimator("rloo")(f, np.zeros((12, 13, 2)), num_samples=2, rng=0)


def test_bad_arguments_of_refine():
    indices, loss, palette, f = dithered("cssim", 12, 12, 2)
    for changes, message in (
        ({"indices": indices[1:]}, "indices must have shape"),
        ({"indices": indices + 2}, "indices must be from 0 to 1"),
        ({"weight": -1}, "weight must be"),
        ({"steps": -1}, "steps must be"),
        ({"num_samples": 0}, "num_samples must be"),
        ({"estimator": "magic"}, "estimator must be one of"),
        ({"objective": lambda x: x[..., 0].mean(axis=2)}, "one number for each picture"),
    ):
        arguments = {"indices": indices, "objective": f} | changes
        with pytest.raises(ValueError, match=message):
            refine(loss=loss, palette=palette, **arguments)
    with pytest.raises(TypeError, match="indices must be integers"):
        refine(indices * 1.0, loss, palette, objective=f)
    with pytest.raises(TypeError, match="estimator must be an Estimator or a name, got 3"):
        refine(indices, loss, palette, objective=f, estimator=3)
    blind = fg.objective(index=f.index)
    with pytest.raises(TypeError, match="gumbel_softmax needs"):
        refine(indices, loss, palette, objective=blind, estimator="gumbel_softmax")
    with pytest.raises(ValueError, match="palette must have shape"):
        of_picture(np.sum, [0.0, 1.0])
