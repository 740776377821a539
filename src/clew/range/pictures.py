"""Benign pictures made by code: smooth coloured noise and shapes, varied enough that PDQ tells them apart."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

Pixels = NDArray[np.uint8]
EXIF_IFD = 0x8769
MAKE, MODEL, DATE_TIME, ORIGINAL, SERIAL = 0x010F, 0x0110, 0x0132, 0x9003, 0xA431


@dataclass(frozen=True, slots=True)
class Camera:
    """A made-up camera. No maker of that name exists."""

    make: str
    model: str
    serial: str


def scene(rng: np.random.Generator, width: int = 800, height: int = 600) -> Image.Image:
    """One picture: three octaves of smooth colour noise under a few shapes."""
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 1.0), (9, 0.8), (28, 0.35)):
        grid = rng.random((cells, cells + cells // 3 + 1, 3)).astype(np.float32)
        layers = [
            Image.fromarray(grid[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        total += weight * np.stack([np.asarray(layer) for layer in layers], axis=2)
    total -= total.min()
    pixels = (total * (255.0 / max(1e-6, float(total.max())))).astype(np.uint8)
    image = Image.fromarray(pixels, "RGB")
    _shapes(image, rng)
    return image


def _shapes(image: Image.Image, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(6, 12))):
        x, y = (int(v) for v in rng.integers(0, (image.width, image.height)))
        w, h = (int(v) for v in rng.integers(40, 260, 2))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        box = (x - w // 2, y - h // 2, x + w // 2, y + h // 2)
        if rng.random() < 0.5:
            draw.ellipse(box, fill=colour)
        else:
            draw.rectangle(box, fill=colour)


def burst(rng: np.random.Generator, count: int) -> list[Image.Image]:
    """One scene seen `count` times by a hand that moves a little, in light that changes a little."""
    base = scene(rng, 860, 645)
    frames = []
    for _ in range(count):
        x, y = (int(v) for v in rng.integers(0, 6, 2))
        frame = base.crop((x, y, x + 820, y + 615))
        frames.append(ImageEnhance.Brightness(frame).enhance(float(rng.uniform(0.94, 1.06))))
    return frames


def altered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same picture passed on: smaller, a little brighter."""
    factor = float(rng.uniform(0.6, 0.9))
    smaller = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.LANCZOS)
    return ImageEnhance.Brightness(smaller).enhance(float(rng.uniform(0.96, 1.06)))


def jpeg(
    image: Image.Image, *, quality: int = 86, camera: Camera | None = None, taken: datetime | None = None
) -> bytes:
    """JPEG bytes, with EXIF where a camera is named."""
    out = io.BytesIO()
    exif = Image.Exif()
    if camera is not None:
        exif[MAKE], exif[MODEL] = camera.make, camera.model
        inside = exif.get_ifd(EXIF_IFD)
        inside[SERIAL] = camera.serial
        if taken is not None:
            exif[DATE_TIME] = inside[ORIGINAL] = taken.strftime("%Y:%m:%d %H:%M:%S")
    image.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    """PNG bytes."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def pdq(image: Image.Image) -> str:
    """PDQ as 64 hexadecimal digits (facebook/ThreatExchange, pdq/README: Jarosz box filter, 64x64, 16x16 DCT, median).

    Written apart from the workbench's own, so that a mistake in one cannot hide in the other.
    """
    square = np.asarray(image.convert("RGB").resize((512, 512), Image.Resampling.NEAREST), np.float32)
    luma = square @ np.array((0.299, 0.587, 0.114), np.float32)
    for _ in range(2):
        luma = _box(_box(luma).T).T
    at = ((np.arange(64) + 0.5) * 8).astype(int)
    small = luma[np.ix_(at, at)]
    rows = np.arange(1, 17)[:, None]
    cosines = np.sqrt(2.0 / 64) * np.cos(np.pi / 128 * rows * (2 * np.arange(64) + 1)[None, :])
    spectrum = cosines @ small @ cosines.T
    median = np.sort(spectrum.ravel())[127]
    bits = (spectrum > median).ravel()
    return np.packbits(bits[::-1]).tobytes().hex()


def _box(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """A box filter of window 4 along each row, clipped at the ends: from 1 before to 2 after."""
    width = lines.shape[1]
    sums = np.concatenate(
        [np.zeros((lines.shape[0], 1), np.float64), np.cumsum(lines, axis=1, dtype=np.float64)], axis=1
    )
    low = np.clip(np.arange(width) - 1, 0, width)
    high = np.clip(np.arange(width) + 3, 0, width)
    means: NDArray[np.float32] = ((sums[:, high] - sums[:, low]) / (high - low)).astype(np.float32)
    return means


def pick_camera(rng: np.random.Generator, names: Sequence[str] = ("Lumen", "Kestrel", "Orrery")) -> Camera:
    """A camera with a serial number of its own."""
    make = names[int(rng.integers(0, len(names)))]
    return Camera(make, f"{make} {int(rng.integers(2, 9))}0", f"{int(rng.integers(10**7, 10**8))}")
