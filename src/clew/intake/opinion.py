"""A second opinion on the type of a Content, by Magika: of what libmagic does not know, or a name contradicts.

libmagic goes by marks at fixed places, which a few overwritten bytes hide; Magika by how the bytes look at the
beginning and the end. It costs sixty times as much, and 70 MB a worker: so it is asked of these contents alone, in
workers of their own (`wanted`).
"""

import io
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import magika

from clew.core import shards
from clew.core.case import Case
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.mediatype import UNKNOWN
from clew.model import Missing, Reason

TRAIT = "type.second"
LEAST, MOST = 16, 16 << 20  # bytes: fewer say nothing; more are not read a second time for this
UNSURE = [UNKNOWN, "application/x-matlab-data"]  # the other is what it says of a JPEG whose first 16 bytes are zeros
# What a name promises, by the beginning of the type that would keep it
PROMISES = {
    "image/": ("jpg", "jpeg", "png", "gif", "webp", "heic", "heif", "avif", "tif", "tiff", "bmp", "dng", "cr2", "nef"),
    "video/": ("mp4", "mov", "m4v", "avi", "mkv", "webm", "3gp", "mpg", "mpeg", "wmv", "flv", "ts", "mts"),
    "audio/": ("mp3", "m4a", "wav", "ogg", "flac", "aac", "opus"),
    "application/": ("zip", "rar", "7z", "gz", "pdf", "docx", "xlsx", "pptx", "exe", "dll", "sqlite", "db"),
    "text/": ("txt", "htm", "html", "csv", "log", "md"),
}
_SQL = """
WITH promised AS (
  SELECT c.sha256, c.media_type, max(c.size) AS size,
    max(p.kind IS NOT NULL AND NOT starts_with(coalesce(c.media_type, ''), p.kind)) AS contradicted
  FROM contents c JOIN listings l USING (item)
    LEFT JOIN (SELECT unnest($kinds) AS kind, unnest($extensions) AS extension) p
    ON p.extension = lower(regexp_extract(CAST(l.path AS VARCHAR), '[.]([A-Za-z0-9]{1,5})$', 1))
  GROUP BY ALL
)
SELECT sha256, size FROM promised
WHERE size >= $least AND (contradicted OR media_type IS NULL OR media_type IN (SELECT unnest($unsure)))
  AND sha256 NOT IN (SELECT content FROM traits WHERE name = $trait)
ORDER BY sha256
"""


def wanted(case: Case) -> tuple[list[bytes], int]:
    """The Contents (SHA-256) that a second opinion is still to be had of; and how many would be, but are larger than
    MOST. What is smaller than LEAST is in neither.
    """
    pairs = [(kind, extension) for kind, extensions in PROMISES.items() for extension in extensions]
    asked = {
        "kinds": [kind for kind, _ in pairs], "extensions": [extension for _, extension in pairs],
        "least": LEAST, "unsure": UNSURE, "trait": TRAIT,
    }  # fmt: skip
    rows = shards.query(case, _SQL, asked).to_pylist()
    found = list(dict.fromkeys(row["sha256"] for row in rows if row["size"] <= MOST))
    return found, len({row["sha256"] for row in rows if row["size"] > MOST})


class _OneThread(magika.Magika):
    """Magika makes its session with a thread for each processor; a locked worker cannot start any."""

    def _init_onnx_session(self) -> Any:
        onnxruntime = import_module("onnxruntime")  # Magika brings it; it comes without types
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self._model_path), options, providers=["CPUExecutionProvider"])


@cache
def model() -> Any:
    """Magika with its model, read from disk."""
    return _OneThread()


def preload() -> None:
    """Before the sandbox closes."""
    model().identify_bytes(bytes(range(256)))


class Opinion:
    """Traits "type.second", a media type, and "type.second.score", 0 to 1: how sure Magika is of it.

    Missing(unknown) where it is not sure enough to say anything.
    """

    name = "magika"
    version = f"1 (magika {magika.__version__})"

    def wants(self, _media_type: str) -> bool:
        """Anything: who asks has chosen."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Both."""
        if probe.data is None:
            yield TRAIT, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        told = model().identify_stream(io.BufferedReader(io.BytesIO(probe.data)))
        if str(told.output.label) in ("unknown", "undefined"):
            yield TRAIT, Missing(Reason.UNKNOWN, f"Magika is not sure; its best guess is {told.dl.label}")
        else:
            yield TRAIT, str(told.output.mime_type)
        yield f"{TRAIT}.score", float(told.score)

    def examples(self) -> Iterator[Example]:
        """A page of HTML without its head."""
        text = b"<p>nothing <b>to</b> see</p><ul><li>one</li><li>two</li></ul>\n" * 40
        yield Example("page", text, "text/plain", {TRAIT: "text/html"})


PLUGIN: Extractor = Opinion()
