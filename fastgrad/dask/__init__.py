"""fastgrad on Dask arrays: lazy, block by block, with the bits of the NumPy functions.

The functions are those of the top level, with logits of shape ``(*batch, K)`` in any chunks of the
batch axes; the axis of categories is one chunk. Random bits have an address (key, sample, row,
category), and a block knows which rows are its own. So a result equals that of the NumPy function
of the whole array, bit for bit, whatever the chunks, the scheduler, the number of workers, and
however often a task had to be run again. (Between processors that have fused multiply-add and those
that have not, the last bit may differ: it is the same on workers of one kind.)

A call computes nothing: it returns arrays of which each block is one task. Tasks run on threads,
processes, or a cluster, as Dask is told. Each is computed with one thread, since Dask runs as many
tasks as there are processors; ``dask.config.set({"fastgrad.threads": 2})`` around the call asks for
more. Compiled kernels are found in the cache of the machine (see `fastgrad.threads`).

`estimate` gives gradients of a minibatch that is an array of many blocks, and `tree_sum` adds them
up in an order that depends on nothing but their number. `dither` dithers pictures of any size.
"""

try:
    import dask.array as _dask_array  # noqa: F401
except ImportError:
    raise ImportError("fastgrad.dask needs Dask: pip install fastgrad[dask]") from None

from fastgrad.dask import random
from fastgrad.dask.categorical import entropy, log_prob, sample, score
from fastgrad.dask.concrete import gumbel_softmax, relax
from fastgrad.dask.dithering import LazyDithering, dither
from fastgrad.dask.estimates import estimate
from fastgrad.dask.sums import tree_sum

__all__ = [
    "LazyDithering",
    "dither",
    "entropy",
    "estimate",
    "gumbel_softmax",
    "log_prob",
    "random",
    "relax",
    "sample",
    "score",
    "tree_sum",
]
