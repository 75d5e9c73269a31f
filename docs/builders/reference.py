"""The reference: a page for everything public, found in the package itself."""

import importlib
import importlib.util
import inspect

import fastgrad as fg
from builders.files import save

GROUPS = {  # of the top level; what is in none of them comes last
    "Samples, densities and relaxations": "Key sample log_prob log_softmax entropy entropy_vjp "
    "kl_divergence kl_divergence_vjp score Categorical Bernoulli gumbel_softmax "
    "gumbel_softmax_vjp relax relax_vjp Relaxation concrete_log_prob exp_concrete_log_prob",
    "Objectives and estimators": "objective Objective estimator list_estimators "
    "register_estimator Estimator Estimate compare Comparison moments expectation_grad",
    "Dithering": "dither dither_files Dithering DitheredFile",
    "Threads": "get_num_threads set_num_threads",
}
FRONTS = ("torch", "jax", "dask")
MORE = ("dithering", "precompile")  # public, but not in the list of the top level
INNER = {"precompile": {"GROUPS", "ahead", "run"}}  # what only the command needs


def modules():
    """Return the public modules by name, those of frameworks where they can be imported."""
    found = {name: getattr(fg, name) for name in fg.__all__ if inspect.ismodule(getattr(fg, name))}
    for name in (*MORE, *FRONTS):
        if importlib.util.find_spec(f"fastgrad.{name}") is None:
            continue
        if name in FRONTS and importlib.util.find_spec(name) is None:
            continue
        found[name] = importlib.import_module(f"fastgrad.{name}")
    for front in FRONTS:
        inner = getattr(found.get(front), "__all__", ())
        for name in inner:
            if inspect.ismodule(getattr(found[front], name)):
                found[f"{front}.{name}"] = getattr(found[front], name)
    return dict(sorted(found.items()))


def groups():
    """Return the names of the top level by heading."""
    public = [n for n in fg.__all__ if n != "__version__" and not inspect.ismodule(getattr(fg, n))]
    made = {title: names.split() for title, names in GROUPS.items()}
    rest = [name for name in public if name not in {n for names in made.values() for n in names}]
    if rest:
        made["More"] = rest
    return made


def table(names):
    """Return the directive that lists names and makes a page for each."""
    lines = [".. autosummary::", "   :toctree: api", "", *(f"   {name}" for name in names)]
    return "\n".join(lines)


def names_of(module):
    """Return what a module offers beyond the top level."""
    top = {id(getattr(fg, other)) for other in fg.__all__}
    inner = INNER.get(module.__name__.removeprefix("fastgrad."), ())
    public = [n for n in module.__all__ if not inspect.ismodule(getattr(module, n))]
    public = [n for n in public if n not in inner]
    same = [n for n in public if id(getattr(module, n)) in top and n in fg.__all__]
    return [n for n in public if n not in same]


def write(folder):
    """Write the list of everything, and a page for each module."""
    parts = ["Reference\n=========", "``import fastgrad as fg``", ".. currentmodule:: fastgrad"]
    for title, names in groups().items():
        parts += [f"{title}\n{'-' * len(title)}", table(names)]
    for name, module in modules().items():
        full = f"fastgrad.{name}"
        text = f"{full}\n{'=' * len(full)}\n\n.. currentmodule:: {full}\n\n"
        text += f".. automodule:: {full}\n   :no-members:\n\n"
        names = names_of(module)
        save(folder / f"module_{name}.rst", text + (table(names) if names else "") + "\n")
    tree = [".. toctree::", "   :maxdepth: 1", "", *(f"   module_{name}" for name in modules())]
    parts += ["Modules\n-------", "\n".join(tree)]
    save(folder / "reference.rst", "\n\n".join(parts) + "\n")
