"""The works that `rivals` compares, as users of each library would write them.

Each function returns {work: {variant: call}} for logits x and a pair of cotangents. `WORKS` names
them all; NumPy has those that make samples.
"""

import functools

import numpy as np

from . import common, in_c

TAU = common.TEMPERATURE
HEATS = {"gumbel_softmax": TAU, "gumbel_softmax at 1": 1.0, "gumbel_softmax at 0.7": 0.7}
WORKS = (
    *("gumbel", "sample", *HEATS, "gumbel_softmax_vjp", "relax", "relax_vjp"),
    *("log_softmax", "entropy", "score", "bernoulli.sample", "bernoulli.gumbel_softmax"),
)


def categories_of(x):
    """Return a category for each row of x, for scores."""
    return np.random.default_rng(3).integers(0, x.shape[1], len(x), np.int32)


def fastgrad_works(x, cotangents, threads):
    import numba

    import fastgrad as fg

    numba.set_num_threads(threads)
    works, key, z = common.works(x), fg.Key(common.KEY), categories_of(x)
    relax, product = works["relax"], works["relax_vjp"]
    works["relax_vjp"] = lambda: (relax(), product())
    soft, sites, same = np.empty_like(x), x.reshape(-1), {"temperature": TAU, "rng": key}
    for work, tau in HEATS.items():
        options = same | {"temperature": tau, "out": soft}
        works[work] = functools.partial(fg.gumbel_softmax, x, **options)
    works |= {
        "gumbel_softmax_vjp": lambda: fg.gumbel_softmax_vjp(x, cotangents[0], **same),
        "log_softmax": lambda: fg.log_softmax(x, out=soft),
        "entropy": lambda: fg.entropy(x),
        "score": lambda: fg.score(x, z, out=soft),
        "bernoulli.sample": lambda: fg.bernoulli.sample(sites, rng=key),
        "bernoulli.gumbel_softmax": lambda: fg.bernoulli.gumbel_softmax(sites, **same),
    }
    return {work: {"fastgrad": call} for work, call in works.items()}


def c_works(x, cotangents, threads):
    return {work: {"gcc": call} for work, call in in_c.works(x, cotangents).items()}


def numpy_works(x, cotangents, threads):
    rng = np.random.Generator(np.random.SFC64(common.KEY))
    rows = np.arange(len(x))

    def exponential():
        return rng.standard_exponential(x.shape, dtype=x.dtype)

    def gumbel_exponential():
        noise = np.log(exponential())
        return np.negative(noise, out=noise)

    def gumbel_uniform():
        noise = rng.random(x.shape, dtype=x.dtype)
        for function in (np.log, np.negative, np.log, np.negative):
            function(noise, out=noise)
        return noise

    def softmax(y):
        y = y - y.max(-1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(-1, keepdims=True)
        return y

    def inverse():
        cumulative = softmax(x).cumsum(-1)
        u = rng.random((len(x), 1), dtype=x.dtype) * cumulative[:, -1:]
        return (cumulative < u).sum(-1)

    def race():
        return (softmax(x) / exponential()).argmax(-1)

    def relax():
        p = softmax(x)
        log_p = np.log(p)
        z = log_p + gumbel_exponential()
        b = z.argmax(-1)
        best = z[rows, b][:, None]
        time, fresh = np.exp(-best) * p, exponential()
        conditional = log_p - np.log(time + fresh)
        conditional[rows, b] = best[:, 0]
        score = -p
        score[rows, b] += 1
        results = b, softmax(z / TAU), softmax(conditional / TAU), score
        return results, p, fresh / (time + fresh)

    def product():
        (b, relaxed, conditional, _), p, weights = relax()

        def through_softmax(y, cotangent):
            return y * (cotangent - (y * cotangent).sum(-1, keepdims=True)) / TAU

        r = through_softmax(conditional, cotangents[1])
        fixed = (1 - weights) * r
        fixed[rows, b] = r[rows, b]
        weights[rows, b] = 0
        through_conditional = weights * r + p * fixed.sum(-1, keepdims=True)
        return through_softmax(relaxed, cotangents[0]), through_conditional

    return {
        "gumbel": {"exponential": gumbel_exponential, "uniform": gumbel_uniform},
        "sample": {"inverse CDF": inverse, "race": race},
        "gumbel_softmax": {"exponential": lambda: softmax((x + gumbel_exponential()) / TAU)},
        "relax": {"exponential": relax},
        "relax_vjp": {"closed form": product},
    }


def torch_works(x, cotangents, threads):
    import torch
    import torch._inductor.config

    torch.set_num_threads(threads)
    if common.AVX2:
        torch._inductor.config.cpp.simdlen = 256
    logits, cotangents = torch.from_numpy(x), [torch.from_numpy(c) for c in cotangents]
    z = torch.from_numpy(categories_of(x)).long()

    def by_exponential(y):
        return torch.empty_like(y).exponential_()

    def by_rand(y):
        return -torch.rand_like(y).log()

    def gumbel(exponential, y):
        return -exponential(y).log()

    def race(exponential, y):
        return (torch.softmax(y, -1) / exponential(y)).argmax(-1)

    def soft(tau, exponential, y):
        return torch.softmax((y + gumbel(exponential, y)) / tau, -1)

    def entropy(y):
        log_p = torch.log_softmax(y, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def score(y):
        return torch.nn.functional.one_hot(z, y.shape[-1]) - torch.softmax(y, -1)

    def flip(y):
        return (torch.rand_like(y) < torch.sigmoid(y)).to(y.dtype)

    def relaxed_sites(y):
        return torch.sigmoid((y + torch.rand_like(y).logit()) / TAU)

    def relax(exponential, y):
        log_p = torch.log_softmax(y, -1)
        p = log_p.exp()
        z = log_p - exponential(y).log()
        best, b = z.detach().max(-1, keepdim=True)
        conditional = log_p - ((-best).exp() * p + exponential(y)).log()
        conditional = conditional.scatter(-1, b, best)
        score = torch.zeros_like(p).scatter_(-1, b, 1.0) - p
        return b, torch.softmax(z / TAU, -1), torch.softmax(conditional / TAU, -1), score

    def soft_product(forward):
        y = logits.clone().requires_grad_()
        return torch.autograd.grad(forward(y), y, cotangents[0])

    def product(forward):
        y = logits.clone().requires_grad_()
        _, relaxed, conditional, _ = forward(y)
        first = torch.autograd.grad(relaxed, y, cotangents[0], retain_graph=True)
        return first, torch.autograd.grad(conditional, y, cotangents[1])

    def variants(function):
        noises = {"exponential_": by_exponential, "rand": by_rand}
        plain = {name: functools.partial(function, noise) for name, noise in noises.items()}
        # inductor draws exponential_ through a fallback; rand is what it fuses
        return {**plain, "rand, compiled": torch.compile(plain["rand"], dynamic=False)}

    def calls(function):
        return {name: functools.partial(f, logits) for name, f in variants(function).items()}

    def alone(function):
        compiled = torch.compile(function, dynamic=False)
        return {"eager": lambda: function(logits), "compiled": lambda: compiled(logits)}

    softs = {work: calls(functools.partial(soft, tau)) for work, tau in HEATS.items()}
    for work, tau in HEATS.items():
        by_name = functools.partial(torch.nn.functional.gumbel_softmax, logits, tau=tau)
        softs[work]["F.gumbel_softmax"] = by_name
    halved = variants(functools.partial(soft, TAU))
    return {
        "gumbel": calls(gumbel),
        "sample": {
            "multinomial": lambda: torch.multinomial(torch.softmax(logits, -1), 1),
            **{f"race, {n}": call for n, call in calls(race).items()},
        },
        **softs,
        "gumbel_softmax_vjp": {n: functools.partial(soft_product, f) for n, f in halved.items()},
        "relax": calls(relax),
        "relax_vjp": {n: functools.partial(product, f) for n, f in variants(relax).items()},
        "log_softmax": alone(lambda y: torch.log_softmax(y, -1)),
        "entropy": alone(entropy),
        "score": alone(score),
        "bernoulli.sample": {
            "bernoulli": lambda: torch.bernoulli(torch.sigmoid(logits)),
            **alone(flip),
        },
        "bernoulli.gumbel_softmax": alone(relaxed_sites),
    }


def jax_works(x, cotangents, threads):
    import jax
    import jax.numpy as jnp

    z = jnp.asarray(categories_of(x))
    x, cotangents = jnp.asarray(x), [jnp.asarray(c) for c in cotangents]

    def soft(tau, key, y):
        return jax.nn.softmax((y + jax.random.gumbel(key, y.shape)) / tau)

    def soft_product(key, y):
        return jax.vjp(functools.partial(soft, TAU, key), y)[1](cotangents[0])

    def entropy(_, y):
        log_p = jax.nn.log_softmax(y)
        return -(jnp.exp(log_p) * log_p).sum(-1)

    def relaxed_sites(key, y):
        return jax.nn.sigmoid((y + jax.random.logistic(key, y.shape)) / TAU)

    def relax(key, y):
        first, second = jax.random.split(key)
        log_p = jax.nn.log_softmax(y)
        p = jnp.exp(log_p)
        z = log_p + jax.random.gumbel(first, y.shape)
        b = z.argmax(-1)
        best = jax.lax.stop_gradient(z.max(-1, keepdims=True))
        chosen = jnp.arange(y.shape[-1]) == b[..., None]
        fresh = jax.random.exponential(second, y.shape)
        conditional = jnp.where(chosen, best, log_p - jnp.log(jnp.exp(-best) * p + fresh))
        return b, jax.nn.softmax(z / TAU), jax.nn.softmax(conditional / TAU), chosen - p

    def product(key, y):
        results, pull = jax.vjp(lambda y: relax(key, y)[1:3], y)
        nothing = jnp.zeros_like(y)
        return results, pull((cotangents[0], nothing)), pull((nothing, cotangents[1]))

    functions = {
        "gumbel": lambda key, y: jax.random.gumbel(key, y.shape),
        "sample": jax.random.categorical,
        **{work: functools.partial(soft, tau) for work, tau in HEATS.items()},
        "gumbel_softmax_vjp": soft_product,
        "relax": relax,
        "relax_vjp": product,
        "log_softmax": lambda _, y: jax.nn.log_softmax(y),
        "entropy": entropy,
        "score": lambda _, y: jax.nn.one_hot(z, y.shape[-1]) - jax.nn.softmax(y),
        "bernoulli.sample": lambda key, y: jax.random.bernoulli(key, jax.nn.sigmoid(y)),
        "bernoulli.gumbel_softmax": relaxed_sites,
    }

    def call(function, key):
        return lambda: jax.block_until_ready(function(key, x))

    kinds = {kind: jax.random.key(common.KEY, impl=kind) for kind in ("threefry2x32", "rbg")}
    return {
        work: {f"jit, {kind}": call(jax.jit(function), key) for kind, key in kinds.items()}
        for work, function in functions.items()
    }
