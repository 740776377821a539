"""Every picture format that we say we decode is decoded inside a worker that is locked up as in a real run."""

import io
import os

import pytest
from PIL import Image

from clew.core import plugins
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake.extractors._picture import FORMATS
from clew.intake.extractors.pdq import waves

EXTRACTORS = [f"clew.intake.extractors.{name}" for name in plugins.names("clew.intake.extractors")]
PRELOAD = ("clew.intake.reading:preload", "clew.intake.sources.folder", *EXTRACTORS)
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
    (tmp_path / "picture").write_bytes(out.getvalue())
    fd = os.open(tmp_path / "picture", os.O_RDONLY)
    opener = {"opener": "clew.intake.sources.folder:file"}
    payload = opener | {"size": out.tell(), "extractors": [f"{module}:PLUGIN" for module in EXTRACTORS], "mode": "fast"}
    traits = {}
    for outcome in pool.run([Task("0", "clew.intake.reading:read", payload, (fd,))]):
        assert isinstance(outcome.reply, Reply), outcome.reply
        traits |= {trait["name"]: trait for trait in outcome.reply.value.get("traits", ())}
    assert {"pdq", "pdq.quality", "thumbnail", "image.width"} <= traits.keys(), traits
    assert not [trait for trait in traits.values() if trait.get("missing")]
