"""What exiftool says of pictures whose maker note our own reader does not know: serial numbers and shutter counts.

exiftool is a program of others (perl), locked up by `clew.core.external`. Where it is not installed nothing is lost
but this: our reader has said of each such picture that it has a maker note which it does not read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from clew.core import external, shards
from clew.core.case import Case
from clew.intake.api import FAST
from clew.intake.options import Options
from clew.intake.reading import CUT, MOST_TEXT, cut
from clew.intake.second import Again, Looked, look
from clew.intake.whole import PLUGIN
from clew.model import Missing, Reason

PROGRAM, INTERPRETER = "exiftool", "/usr/bin/perl"
PREFIX = "exiftool."
# Its names; each becomes a Trait, "exiftool.SerialNumber"
TAGS = ("SerialNumber", "InternalSerialNumber", "CameraSerialNumber", "BodySerialNumber", "LensSerialNumber",
        "ShutterCount", "ShutterCount2", "ShutterCount3", "ImageCount", "ImageNumber", "FileNumber", "OwnerName",
        "ImageUniqueID", "ContentIdentifier", "MakerNoteVersion")  # fmt: skip
DIFFERENCE = (
    "pictures have a maker note that clew does not read itself; serial numbers and shutter counts in them are not known"
)
_SQL = """
SELECT DISTINCT content FROM traits WHERE name = 'makernote' AND missing IS NOT NULL
  AND content NOT IN (SELECT content FROM traits WHERE extractor = 'exiftool')
  AND ($exhibit IS NULL OR content IN (SELECT sha256 FROM contents WHERE exhibit = $exhibit)) ORDER BY content
"""


@dataclass(slots=True)
class Told:
    """What the pass did, and how the program was locked up, by its name."""

    looked: Looked = field(default_factory=Looked)
    isolation: dict[str, dict[str, Any]] = field(default_factory=dict)


def wanted(case: Case, exhibit: str | None = None) -> list[bytes]:
    """The Contents (SHA-256), of all or of that `exhibit`, with a maker note that our reader does not know and exiftool
    was not asked about.
    """
    return [row["content"] for row in shards.query(case, _SQL, {"exhibit": exhibit}).to_pylist()]


def not_asked(case: Case, exhibit: str) -> list[str]:
    """In words, what is not known of that Exhibit since exiftool was not asked."""
    contents = wanted(case, exhibit)
    why = "exiftool was not asked" if external.installed(PROGRAM) else "exiftool is not installed"
    return [f"{why}: {len(contents):,} {DIFFERENCE}"] if contents else []


def ask(case: Case, options: Options, exhibit: str | None = None) -> Told:
    """Asks exiftool about each of them, or each of that `exhibit`. Raises what `second.look` raises."""
    contents, told = wanted(case), Told()
    program = external.installed(PROGRAM)
    if program is None:
        return told
    made = external.run([program, "-ver"], b"", runnable=[INTERPRETER], accept_weak=options.accept_weak_isolation)
    version = made.output.decode("ascii", "replace").strip()[:20] if isinstance(made, external.Ran) else "unknown"
    if isinstance(made, external.Ran):
        told.isolation[PROGRAM] = made.isolation  # also where it has no answer to what follows
    again = Again(
        mode=FAST,
        extractor="clew.intake.whole:PLUGIN",
        trait=f"{PREFIX}{TAGS[0]}",
        had="SELECT content FROM traits WHERE extractor = 'exiftool' AND missing IS NULL",
        most=200,
        hear=partial(_rows, program, version, options.accept_weak_isolation, told),
        beside=told.isolation,
    )
    told.looked = look(case, contents, again, options, exhibit)
    return told


def describe(
    program: str, data: bytes, accept_weak: bool
) -> tuple[dict[str, str | int | float], dict[str, Any]] | Missing:
    """Those of TAGS that exiftool has of these bytes, and the isolation that it ran in."""
    command = [program, "-j", "-n", *(f"-{tag}" for tag in TAGS), "-"]
    ran = external.run(command, data, runnable=[INTERPRETER], accept_weak=accept_weak)
    if isinstance(ran, Missing):
        return ran
    try:
        (said,) = json.loads(ran.output)
        tags = {tag: said[tag] for tag in TAGS if isinstance(said.get(tag), str | int | float)}
    except (ValueError, TypeError, AttributeError):
        return Missing(Reason.UNPARSABLE, f"exiftool gave no answer (exit status {ran.status})")
    return tags, ran.isolation


def _rows(
    program: str, version: str, accept_weak: bool, told: Told, value: dict[str, Any], blobs: tuple[bytes, ...]
) -> list[dict[str, Any]]:
    """Trait rows of one answer of `clew.intake.whole`."""
    empty = dict.fromkeys(("text", "number", "integer", "data", "missing", "detail"))
    by = {"extractor": PLUGIN.name, "version": f"{PLUGIN.version} (exiftool {version})"}
    if not blobs:
        (row,) = value["traits"]
        missing: Missing | None = Missing(Reason(row["missing"]), str(row["detail"])[:MOST_TEXT])
    else:
        found = describe(program, blobs[0], accept_weak)
        missing = found if isinstance(found, Missing) else None
        if not isinstance(found, Missing):
            tags, told.isolation[PROGRAM] = found
            if tags:
                return [
                    {**empty, **by, **row} for tag, said in tags.items() for row in _columns(f"{PREFIX}{tag}", said)
                ]
            missing = Missing(Reason.NOT_APPLICABLE, "exiftool finds no serial number or count in it")
    assert missing is not None
    return [{**empty, **by, **_said("exiftool", missing)}]


def _said(name: str, missing: Missing) -> dict[str, Any]:
    return {"name": name, "missing": str(missing.reason), "detail": missing.detail}


def _columns(name: str, said: str | int | float) -> Iterator[dict[str, Any]]:
    """Numbers that are names, such as serial numbers, may be too long for a column of integers."""
    if isinstance(said, int) and abs(said) < 1 << 63:
        yield {"name": name, "integer": int(said)}
        return
    yield {"name": name, "text": str(said)[:MOST_TEXT]}
    if len(str(said)) > MOST_TEXT:
        yield _said(f"{name}{CUT}", cut(str(said)))
