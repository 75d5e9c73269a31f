"""How kernels are compiled, cached on disk and run: all that knows Numba's options."""
