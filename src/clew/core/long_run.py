"""What a process sets for itself that runs for days and holds tens of thousands of small objects."""

import gc
import os

# As the interpreter's own (700, 10, 10), so rare that walking all that is held costs 1 % instead of 20
# (bench/bench_observe.py). What is no longer referred to is given back at once all the same; this is about cycles.
COLLECT = (20_000, 50, 100)


def settle_in() -> None:
    """For the whole process, before anything loads Arrow: its own pool would keep what it once had.

    The pool that writes Parquet is chosen as Arrow is loaded, and by this variable alone; `set_memory_pool` is for all
    but that.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    gc.set_threshold(*COLLECT)
