"""The second opinion on types, of all Contents whose type libmagic does not know or a name contradicts.

Run after the reading, again and again as the case grows: who has an opinion is left, and but for a retry who could not
be had of one.
"""

from dataclasses import dataclass, replace
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.progress import Progress
from clew.intake.api import FAST
from clew.intake.archives.kinds import kind_of
from clew.intake.mediatype import RETYPED, SECOND, UNKNOWN
from clew.intake.options import Options
from clew.intake.second import Again, Looked, look

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
# What is no answer of Magika's is that its worker failed, or that the content could not be read.
ANSWERED = """
SELECT content FROM traits WHERE name='type.second' AND (missing IS NULL OR missing IN ('unknown', 'too large'))
"""
HAD = "SELECT content FROM traits WHERE name='type.second'"
_EXTENSION = r"lower(regexp_extract(CAST(path AS VARCHAR), '[.]([A-Za-z0-9]{1,5})$', 1))"
_NAMES = f"(SELECT item, {_EXTENSION} AS extension FROM listings)"  # noqa: S608 - our own words
_SQL = f"""
WITH promises AS (SELECT unnest($kinds) AS kind, unnest($extensions) AS extension),
  promised AS (SELECT item, kind FROM {_NAMES} JOIN promises USING (extension))
SELECT sha256, max(size) AS size FROM contents LEFT JOIN promised USING (item)
WHERE ($exhibit IS NULL OR exhibit = $exhibit) AND size >= $least
  AND (media_type IS NULL OR media_type IN (SELECT unnest($unsure)) OR NOT starts_with(media_type, kind))
"""  # noqa: S608 - our own words
_NOT_LOOKED = f"""
WITH promised AS (SELECT item FROM {_NAMES} WHERE extension IN (SELECT unnest($extensions)))
SELECT count(DISTINCT sha256) AS contents FROM contents
WHERE exhibit=$exhibit AND media_type=$unknown AND size > 0
  AND (item IN (FROM promised)
    OR sha256 IN (SELECT content FROM traits WHERE name=$trait AND starts_with(text, 'video/')))
  AND sha256 NOT IN (SELECT content FROM traits WHERE extractor IN ('video', 'known-good'))
"""  # noqa: S608 - our own words
_RETYPED = """
SELECT c.media_type AS was, t.text AS now, count(DISTINCT c.item) AS items
FROM contents c JOIN traits t ON t.content = c.sha256
WHERE t.name = $trait AND c.exhibit = $exhibit AND c.media_type IS DISTINCT FROM t.text GROUP BY ALL ORDER BY ALL
"""


def wanted(case: Case, exhibit: str | None = None, had: str = HAD) -> tuple[list[bytes], int]:
    """The Contents (SHA-256), of all or of that `exhibit`, that a second opinion is still to be had of; and how many
    would be, but are larger than MOST. What is smaller than LEAST is in neither, nor are those that `had` selects.
    """
    pairs = [(kind, extension) for kind, extensions in PROMISES.items() for extension in extensions]
    asked = {
        "kinds": [kind for kind, _ in pairs], "extensions": [extension for _, extension in pairs],
        "least": LEAST, "unsure": UNSURE, "exhibit": exhibit,
    }  # fmt: skip
    sql = f"{_SQL}  AND sha256 NOT IN ({had}) GROUP BY sha256 ORDER BY sha256"
    rows = shards.query(case, sql, asked).to_pylist()
    found = [row["sha256"] for row in rows if row["size"] <= MOST]
    return found, len(rows) - len(found)


def not_asked(case: Case, exhibit: str) -> list[str]:
    """In words, which Contents of that Exhibit stay without the second opinion that they need."""
    found, larger = wanted(case, exhibit)
    said = [f"{len(found):,} contents of unknown or contradicted type have no second opinion yet"] if found else []
    if larger:
        said.append(f"{larger:,} contents of unknown or contradicted type are too large for a second opinion")
    return said


def not_looked(case: Case, exhibit: str) -> list[str]:
    """In words, how many Contents of unknown type in this Exhibit nothing looked at, though their name or the second
    opinion says that they are videos.
    """
    asked = {"exhibit": exhibit, "unknown": UNKNOWN, "extensions": list(PROMISES["video/"]), "trait": SECOND}
    count = shards.query(case, _NOT_LOOKED, asked).to_pylist()[0]["contents"]
    told = "contents of unknown type, videos by their name or the second opinion, were not looked at"
    return [f"{count:,} {told}"] if count else []


def retyped(case: Case, exhibit: str) -> list[dict[str, Any]]:
    """Items of that Exhibit whose type `was` another one when they were first read than it is `now`, and how many;
    `unlisted` where that makes them archives of another kind: those are opened by the first type alone.
    """
    asked = {"exhibit": exhibit, "trait": RETYPED["name"]}
    found = shards.query(case, _RETYPED, asked).to_pylist()
    return [{**each, "unlisted": kind_of(each["now"]) not in (None, kind_of(each["was"] or ""))} for each in found]


AGAIN = Again(
    mode=FAST,
    extractor="clew.intake.second_type:PLUGIN",
    trait=SECOND,
    had=HAD,
    most=2_000,
    preload=("clew.intake.second_type:preload",),
    called="second opinions on types",
)


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the pass did; `larger` contents were left, since they are larger than MOST."""

    looked: Looked
    larger: int


def second_types(case: Case, options: Options, exhibit: str | None = None, bar: Progress | None = None) -> Opinions:
    """Gives every Content that needs it, or every one of that `exhibit`, a "type.second". Where that failed, it is
    asked for again by a retry alone. Raises what `second.look` raises.
    """
    again = replace(AGAIN, had=ANSWERED) if options.retry else AGAIN
    found, larger = wanted(case, had=again.had)
    return Opinions(look(case, found, again, options, exhibit, bar), larger)
