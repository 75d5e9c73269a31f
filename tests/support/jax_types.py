"""float64 in JAX for a block of code, whatever its version: the name of that has moved."""

import importlib


def enable_x64():
    """Return a context in which JAX has float64; JAX is imported no earlier."""
    module = importlib.import_module("jax")
    if not hasattr(module, "enable_x64"):  # before 0.8
        module = importlib.import_module("jax.experimental")
    return module.enable_x64(True)
