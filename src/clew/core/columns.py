"""Columns of Arrow tables as numpy arrays, without a Python object per row."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def fixed(column: pa.ChunkedArray, width: int) -> npt.NDArray[Any]:
    """A binary column of equal lengths as an (n, width) array of bytes. ValueError where one is longer or null."""
    if column.null_count:
        raise ValueError("a hash is missing in a column that must be full")
    packed = column.cast(pa.binary(width)).combine_chunks()
    chunks = packed.chunks if isinstance(packed, pa.ChunkedArray) else [packed]
    parts = [
        np.frombuffer(c.buffers()[1], np.uint8)[c.offset * width : (c.offset + len(c)) * width]
        for c in chunks
        if len(c)
    ]
    flat = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return flat.reshape(-1, width)
