"""Names that are imported when they are first asked for: most programs need few of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def attach(
    package: str, homes: Mapping[str, str], modules: Mapping[str, str], public: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    `homes` says of objects in which module of the package they stand, and `modules` where modules
    do. What is found stays in the package.
    """

    def find(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(f"{package}.{homes[name]}"), name)
        elif name in modules:
            value = import_module(f"{package}.{modules[name]}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted(public)


class Aliases(MetaPathFinder, Loader):
    """Finds modules that stand deeper in a package by their public names, too.

    Both names are one module. `sys.meta_path` asks last: only where there is no such file.
    """

    def __init__(self, package: str, modules: Mapping[str, str]) -> None:
        """Take the public names, and where each module stands in the package."""
        self._homes = {f"{package}.{name}": f"{package}.{home}" for name, home in modules.items()}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Say that this finds a module, if it does."""
        return ModuleSpec(fullname, self) if fullname in self._homes else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module itself, which Python is about to give another specification."""
        module = import_module(self._homes[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module, which has been run, its own specification back."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state
