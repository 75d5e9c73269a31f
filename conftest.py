"""Doctests of the fronts of frameworks run where the framework is installed."""

from importlib.util import find_spec

collect_ignore_glob = [
    f"fastgrad/{front}/*" for front in ("torch", "jax", "dask") if find_spec(front) is None
]
