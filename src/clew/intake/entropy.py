"""Whether bytes look like noise: what is encrypted without a signature (VeraCrypt, TrueCrypt, plain dm-crypt) is known
by nothing else.

Looked at are samples spread over the whole. Each must be as even as noise by itself (Shannon's entropy of its bytes),
and all together pass a chi-square test against an even spread, which packed data (zip, MP4, JPEG) do not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SAMPLE = 16 << 10  # bytes
SAMPLES = 64
LEAST = 7.975  # bits a byte; 16 KiB of noise have 7.989 with a standard deviation of 0.0007
MOST_CHI = 400.0  # noise has 255 with a standard deviation of 22.6

UNEXPLAINED = (
    "high entropy, unexplained: it may be encrypted (VeraCrypt has no signature) or overwritten with noise; "
    "ask for the passphrase, open it with its own tool and take in the opened volume"
)


@dataclass(frozen=True, slots=True)
class Entropy:
    """Of the samples together in bits a byte, of the least even one, and how far they are from an even spread."""

    bits: float
    least: float
    chi: float

    @property
    def unexplained(self) -> bool:
        """Whether it cannot be told from noise."""
        return self.least >= LEAST and self.chi <= MOST_CHI


def measure(read: Callable[[int, int], bytes], offset: int, size: int) -> Entropy:
    """Samples of `size` bytes from `offset` on, by `read(offset, length)`. Raises what that raises."""
    step = max(size // SAMPLES, SAMPLE)
    counts = np.zeros(256, np.int64)
    least = 8.0
    for at in range(offset, offset + size - SAMPLE + 1, step):
        sample = read(at, SAMPLE)
        here = np.bincount(np.frombuffer(sample, np.uint8), minlength=256)
        least = min(least, _bits(here))
        counts += here
    total = int(counts.sum())
    if not total:
        return Entropy(0.0, 0.0, 0.0)
    expected = total / 256
    return Entropy(_bits(counts), least, float(((counts - expected) ** 2).sum() / expected))


def _bits(counts: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> float:
    total = counts.sum()
    if not total:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum())
