"""What a process sets for itself that runs for days and holds tens of thousands of small objects."""

import gc
import importlib
import os
import sys
from types import ModuleType
from typing import cast

# As the interpreter's own (700, 10, 10), so rare that walking all that is held costs 1 % instead of 20
# (bench/bench_observe.py). What is no longer referred to is given back at once all the same; this is about cycles.
COLLECT = (20_000, 50, 100)
# What Arrow loads where it is installed, and can do without (14 MB): numpy is for arrays of numpy's own, the others for
# the file systems of clouds.
SPARED = ("numpy", "pyarrow._s3fs", "pyarrow._gcsfs", "pyarrow._azurefs", "pyarrow._hdfs")


def settle_in() -> None:
    """For the whole process, before anything loads Arrow: its own pool would keep what it once had.

    The pool that writes Parquet is chosen as Arrow is loaded, and by this variable alone; `set_memory_pool` is for all
    but that.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    gc.set_threshold(*COLLECT)


def spare_arrow() -> None:
    """For a process that only writes shards and queries them: loads Arrow without what that takes none of.

    Columns then cannot become arrays of numpy's for as long as the process lives; numpy itself can be had afterwards.
    Nothing happens where Arrow is loaded already.
    """
    if "pyarrow" in sys.modules:
        return
    absent = [name for name in SPARED if name not in sys.modules]
    modules = cast(dict[str, ModuleType | None], sys.modules)
    modules.update(dict.fromkeys(absent))  # None: ModuleNotFoundError (the import system, 5.3.1)
    try:
        importlib.import_module("pyarrow.parquet")
    finally:
        for name in absent:
            del modules[name]
