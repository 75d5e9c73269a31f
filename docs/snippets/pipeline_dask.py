import dask.array as da
import numpy as np

import fastgrad as fg
from fastgrad import dask as fgd

logits = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
blocks = da.from_array(logits, chunks=(1500, 16))  # or from zarr, parquet, a cluster
samples = fgd.sample(blocks, rng=7)  # lazy: a task for each block
mean = fgd.log_prob(blocks, samples).mean()
assert np.array_equal(samples.compute(), fg.sample(logits, rng=7))  # whatever the chunks
print(f"mean log probability {mean.compute():.3f}")
