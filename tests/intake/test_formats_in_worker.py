"""Every picture format that we say we decode is decoded inside a worker that is locked up as in a real run."""

import io
import os

import pillow_heif
import pytest
import tiffs
from PIL import Image

from clew.core import plugins
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake.extractors._picture import FORMATS
from clew.intake.extractors.pdq import waves

EXTRACTORS = [f"clew.intake.extractors.{name}" for name in plugins.names("clew.intake.extractors")]
PRELOAD = ("clew.intake.reading:preload", "clew.intake.sources.folder", *EXTRACTORS)
PICTURE = Image.fromarray(waves(900, 700))
OPTIONS = {
    "JPEG": [{}, {"progressive": True}],
    "WEBP": [{}, {"lossless": True}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "tiff_adobe_deflate"}],
}
CASES = [(kind, options) for kind in FORMATS for options in OPTIONS.get(kind, [{}])]


@pytest.fixture(scope="module")
def pool():
    with Pool(1, PRELOAD, Limits(60, 0, 1 << 30, 16 << 20), Policy(landlock_abi=2)) as started:
        yield started


@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
@pytest.mark.parametrize("size", [(640, 480), (2400, 1600)], ids=["small", "large"])
def test_a_locked_worker_decodes(pool, tmp_path, kind, options, size):
    image = Image.fromarray(waves(*size)).resize((256, 256)) if kind == "ICO" else Image.fromarray(waves(*size))
    out = io.BytesIO()
    image.save(out, kind, **options)
    assert_decoded(pool, tmp_path / "picture", out.getvalue())


@pytest.mark.parametrize("kind", ["heic", "heic-grid", *(kind for kind in tiffs.raws(PICTURE, PICTURE))])
def test_a_locked_worker_decodes_what_pillow_does_not(pool, tmp_path, kind):
    if kind.startswith("heic"):
        out = io.BytesIO()
        pillow_heif.from_pillow(PICTURE).save(out, quality=60, **({"tile_size": 256} if kind == "heic-grid" else {}))
        data = out.getvalue()
    else:
        data = tiffs.raws(PICTURE, PICTURE.resize((160, 120)))[kind][1]
    assert_decoded(pool, tmp_path / "picture", data)


def assert_decoded(pool, path, data):
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    opener = {"opener": "clew.intake.sources.folder:file"}
    payload = opener | {"size": len(data), "extractors": [f"{module}:PLUGIN" for module in EXTRACTORS], "mode": "fast"}
    traits = {}
    for outcome in pool.run([Task("0", "clew.intake.reading:read", payload, (fd,))]):
        assert isinstance(outcome.reply, Reply), outcome.reply
        traits |= {trait["name"]: trait for trait in outcome.reply.value.get("traits", ())}
    assert {"pdq", "pdq.quality", "thumbnail", "image.width"} <= traits.keys(), traits
    assert not [name for name, trait in traits.items() if trait.get("missing") and name != "makernote"]
