"""Speed, memory and import time of fastgrad, for asv; `python -m benchmarks.rivals` compares."""
