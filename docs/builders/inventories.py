"""Inventories of other projects' documentation: a few names, without fetching anything.

`-t online` takes the projects' own inventories instead.
"""

import zlib

from builders.files import save

URLS = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "jax": "https://docs.jax.dev/en/latest/",
}
NAMES = {
    "python": {
        "pathlib.Path": ("py:class", "library/pathlib.html#pathlib.Path"),
        "concurrent.futures.ThreadPoolExecutor": (
            "py:class",
            "library/concurrent.futures.html#concurrent.futures.ThreadPoolExecutor",
        ),
    },
    "numpy": {
        name: ("py:class", f"reference/{place}{name}.html")
        for name, place in (
            ("numpy.ndarray", "generated/"),
            ("numpy.memmap", "generated/"),
            ("numpy.random.SeedSequence", "random/bit_generators/generated/"),
        )
    }
    | {"numpy.random.Generator": ("py:class", "reference/random/generator.html#$")},
    "scipy": {
        "scipy.special.logsumexp": (
            "py:function",
            "reference/generated/scipy.special.logsumexp.html",
        ),
        "scipy.optimize.linear_sum_assignment": (
            "py:function",
            "reference/generated/scipy.optimize.linear_sum_assignment.html",
        ),
    },
    "torch": {
        "torch.Tensor": ("py:class", "tensors.html#torch.Tensor"),
        "torch.compile": ("py:function", "generated/torch.compile.html"),
    },
    "jax": {
        name: ("py:function", f"_autosummary/{name}.html")
        for name in ("jax.jit", "jax.vmap", "jax.grad", "jax.pure_callback")
    },
}


def write(folder):
    """Write the inventories, in Sphinx's format."""
    for project, names in NAMES.items():
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        lines = "".join(f"{name} {role} 1 {place} -\n" for name, (role, place) in names.items())
        data = head.encode() + zlib.compress(lines.encode())
        save(folder / "inventories" / f"{project}.inv", data)


def mapping(folder, online):
    """Return what intersphinx takes."""
    local = {p: str(folder / "inventories" / f"{p}.inv") for p in URLS}
    return {p: (url, None if online else local[p]) for p, url in URLS.items()}
