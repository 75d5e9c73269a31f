#!/usr/bin/env bash
# numba 0.68.1: a compiled function that is kept by a function which it calls, say in an attribute
# there, is never freed, and neither is what it was compiled from. In Python the two are a cycle that
# the garbage collector finds; Numba's finalizer of a dispatcher holds what it has compiled, whose
# type annotations hold the Python function, its closure, and so the dispatcher itself.
#
# Why it matters here: who compiles a loop around a user's function, as is done for objectives that are
# called where samples are drawn, wants to keep the loop as long as the function lives. An attribute of
# the function looks like the place, and leaks machine code with each new objective. Here nothing that
# is compiled holds the function of the user.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install numba==0.68.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import gc
import weakref

from numba import njit


def pair(kept, compiled):
    """Return references to a function and to one that calls it, and that it may keep."""
    make = njit if compiled else lambda f: f

    @make
    def inner(x):
        return x + 1

    @make
    def outer(x):
        return inner(x)

    outer(1.0)
    if kept:
        inner.loop = outer
    return weakref.ref(inner), weakref.ref(outer)


def alive(kept, compiled):
    found = pair(kept, compiled)
    gc.collect()
    return sum(reference() is not None for reference in found)


for kept, compiled in (True, False), (False, True), (True, True):
    print(f"kept by what it calls: {kept}, compiled: {compiled}: {alive(kept, compiled)} of 2 alive")
assert alive(kept=True, compiled=False) == 0
assert alive(kept=False, compiled=True) == 0
assert alive(kept=True, compiled=True) == 2, "such functions are freed now"
PYTHON
