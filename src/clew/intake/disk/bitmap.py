"""Bitmaps of a file system, read a window at a time: one bit a block, least significant first, set where it is used.

What cannot be read counts as used, so that nothing is ever taken for free, or a deleted file for whole, by mistake.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WINDOW = 1 << 16
Used = NDArray[np.bool_]


def ones(window: Callable[[int], bytes], start: int, count: int) -> int:
    """Set bits among `count` bits from `start`, least significant first; bits that are not there count as set."""
    total = 0
    while count > 0:
        number, low = divmod(start, WINDOW * 8)
        data = window(number)
        bits = min(count, len(data) * 8 - low)
        if bits <= 0:
            return total + count
        value = int.from_bytes(data[low // 8 : (low + bits + 7) // 8], "little") >> (low % 8)
        total += (value & ((1 << bits) - 1)).bit_count()
        start, count = start + bits, count - bits
    return total


def bits(window: Callable[[int], bytes], start: int, count: int) -> Used:
    """`count` bits from `start`, least significant first; bits that are not there are set."""
    found = np.ones(count, np.bool_)
    done = 0
    while done < count:
        number, low = divmod(start + done, WINDOW * 8)
        data = window(number)
        here = min(count - done, len(data) * 8 - low)
        if here <= 0:
            break
        raw = np.frombuffer(data, np.uint8)[low // 8 : (low + here + 7) // 8]
        found[done : done + here] = np.unpackbits(raw, bitorder="little")[low % 8 : low % 8 + here]
        done += here
    return found
