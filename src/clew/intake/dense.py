"""The dense look at videos: picture hashes of all their frames, or of one in so many seconds, on demand.

For a lead, for what matched by few key frames, and for one's own reference videos: a clip that was cut out of a video
may hold none of its key frames, and is found by the frames between them.
"""

import os
from dataclasses import replace

from clew.core import shards
from clew.core.case import Case
from clew.core.engine import Limits
from clew.core.errors import Usage
from clew.intake.api import DENSE
from clew.intake.second import Again, Looked, look
from clew.intake.summary import Options
from clew.intake.tools import EXTRACTORS

LIMITS = Limits(seconds=600.0, seconds_per_mb=5.0, memory=1536 << 20, output=64 << 20)
LEAST_PREFIX = 6  # digits

_HAD = """
SELECT content FROM traits WHERE name='video.dense.every' AND mode='dense' AND number <= {every!r}"""
_NAMED = """
SELECT DISTINCT c.sha256 FROM contents c JOIN listings l USING (item)
WHERE starts_with(lower(hex(c.sha256)), $prefix) OR l.path = $path LIMIT 2"""


def dense(case: Case, contents: list[bytes], *, every: float = 0.0, options: Options | None = None) -> Looked:
    """Gives these Contents (SHA-256 each) "video.pdq.dense" Traits, of frames that lie `every` seconds apart (0: all).

    Those that have them as dense are left. Raises what `second.look` raises.
    """
    chosen = replace(options or Options(workers=os.cpu_count() or 1), limits=LIMITS)
    again = Again(
        mode=DENSE,
        extractor=f"{EXTRACTORS}.video:PLUGIN",
        trait="video.pdq.dense",
        had=_HAD.format(every=float(every)),
        most=max(1, chosen.workers),  # of one receipt: each may have two hundred thousand Traits
        asked={"every": float(every)},
    )
    return look(case, contents, again, chosen)


def named(case: Case, name: str) -> bytes:
    """The SHA-256 of the one Content whose SHA-256 begins with `name`, in hexadecimal, or whose Item lies at that path.

    Raises Usage where there is none, or more than one.
    """
    digits = name.lower()
    is_prefix = len(digits) >= LEAST_PREFIX and not set(digits) - set("0123456789abcdef")
    asked = {"prefix": digits if is_prefix else "no content", "path": os.fsencode(name)}
    rows = shards.query(case, _NAMED, asked).to_pylist()
    if len(rows) != 1:
        raise Usage(
            f"{'no' if not rows else 'more than one'} content is named {name}",
            f"give a path as it is listed, or {LEAST_PREFIX} or more digits of a content's SHA-256",
        )
    sha256: bytes = rows[0]["sha256"]
    return sha256
