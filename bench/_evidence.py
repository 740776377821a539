"""Generated evidence of mixed kinds: photographs, videos, noise, documents, archives and text, no two alike."""

import io
import random
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from _films import PHONE, clip

SHARES = {"jpg": 0.45, "mp4": 0.15, "bin": 0.15, "zip": 0.1, "pdf": 0.1, "txt": 0.05}  # of the bytes
SIZES = {"jpg": 2_000_000, "bin": 40_000_000, "zip": 4_000_000, "pdf": 300_000, "txt": 20_000}


def photograph(dice: random.Random) -> bytes:
    """Twelve megapixels of shapes and grain; further ones are made of it by another comment."""
    rough = np.random.default_rng(dice.randrange(1 << 32)).integers(0, 255, (48, 64, 3), np.uint8)
    grain = np.random.default_rng(1).integers(-9, 9, (3000, 4000, 1), np.int16)
    smooth = np.asarray(Image.fromarray(rough).resize((4000, 3000), Image.Resampling.BICUBIC), np.int16)
    out = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()


def film(seconds: int) -> bytes:
    """As a telephone takes it, a key frame a second; further ones are made of it by another box behind it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        clip(path, "libx264", 30, PHONE, seconds)
        return path.read_bytes()


def contents(kind: str, dice: random.Random, photographs: list[bytes], films: list[bytes]) -> Iterator[bytes]:
    """Endlessly many contents of a kind, no two alike."""
    while True:
        mark = b"%032x" % dice.getrandbits(128)
        if kind == "jpg":
            whole = dice.choice(photographs)
            yield whole[:2] + b"\xff\xfe\x00\x22" + mark + whole[2:]
        elif kind == "mp4":
            yield dice.choice(films) + struct.pack(">I4s", 8 + len(mark), b"free") + mark
        elif kind == "zip":
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr("picture.jpg", dice.choice(photographs) + mark)
                packed.writestr("letter.txt", b"a letter of " + mark)
            yield out.getvalue()
        elif kind == "pdf":
            yield b"%PDF-1.4\n" + mark + dice.randbytes(dice.randrange(SIZES[kind] * 2))
        elif kind == "txt":
            yield (mark + b" some words of a plain text.\n") * dice.randrange(1, SIZES[kind] // 30)
        else:
            yield dice.randbytes(dice.randrange(SIZES[kind] * 2))


def corpus(root: Path, size: int) -> Path:
    """So many bytes of evidence, two hundred files a folder."""
    dice = random.Random(21)
    photographs, films = [photograph(dice) for _ in range(6)], [film(seconds) for seconds in (2, 5)]
    for kind, share in SHARES.items():
        left, number = int(size * share), 0
        for data in contents(kind, dice, photographs, films):
            folder = root / kind / f"{number // 200:04}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:06}.{kind}").write_bytes(data)
            left, number = left - len(data), number + 1
            if left <= 0:
                break
    return root
