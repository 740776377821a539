"""Videos made by code, for `bench_video` and the mixed corpus."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT, RATE = 1920, 1080, 30
PHONE = {"preset": "veryfast", "bf": "0", "b": "17M", "sc_threshold": "0"}  # a telephone's 1080p


def clip(path: Path, encoder: str, keys: int, options: dict[str, str], seconds: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = keys
        for pixels in frames(seconds * RATE):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def frames(count: int) -> Iterator[np.ndarray]:
    """A camera that wanders over a large picture of shapes at every scale, with grain."""
    rng = np.random.default_rng(1)
    wide, high = 2 * WIDTH, 2 * HEIGHT
    picture = np.zeros((high, wide, 3), np.float32)
    for octave in range(8):
        cell = 2 ** (9 - octave)
        for channel in range(3):
            coarse = rng.standard_normal((high // cell + 3, wide // cell + 3)).astype(np.float32)
            layer = Image.fromarray(coarse).resize((wide, high), Image.Resampling.BICUBIC)
            picture[..., channel] += np.float32(0.62**octave) * np.asarray(layer)
    pixels = (picture * np.float32(52) / picture.std() + 120).clip(0, 243).astype(np.uint8)
    for number in range(count):
        x, y = (int(side * (0.5 + 0.5 * np.sin(number / slow))) for side, slow in ((WIDTH, 97), (HEIGHT, 61)))
        yield pixels[y : y + HEIGHT, x : x + WIDTH] + rng.integers(0, 12, (HEIGHT, WIDTH, 1), np.uint8)
