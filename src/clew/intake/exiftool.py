"""What exiftool says of pictures whose maker note our own reader does not know: serial numbers and shutter counts.

exiftool is a program of others (perl), locked up by `clew.core.external`. Where it is not installed nothing is lost
but this: our reader has said of each such picture that it has a maker note which it does not read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from clew.core import external, shards
from clew.core.case import Case
from clew.core.progress import Progress
from clew.intake.api import FAST
from clew.intake.exiftool_runs import INTERPRETER, TAGS, Runs, Tags
from clew.intake.options import Options
from clew.intake.reading import CUT, MOST_TEXT, cut
from clew.intake.second import Again, Looked, look
from clew.intake.whole import PLUGIN
from clew.model import Missing, Reason

PROGRAM = "exiftool"
PREFIX = "exiftool."
DIFFERENCE = (
    "pictures have a maker note that clew does not read itself; serial numbers and shutter counts in them are not known"
)
_SQL = f"""
SELECT DISTINCT content FROM {shards.newest("extractor = 'exif'")} WHERE name = 'makernote' AND missing IS NOT NULL
  AND content NOT IN (SELECT content FROM traits WHERE extractor = 'exiftool')
  AND ($exhibit IS NULL OR content IN (SELECT sha256 FROM contents WHERE exhibit = $exhibit)) ORDER BY content
"""  # noqa: S608 - our own words


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


def ask(case: Case, options: Options, exhibit: str | None = None, bar: Progress | None = None) -> Told:
    """Asks exiftool about each of them, or each of that `exhibit`. Raises what `second.look` raises."""
    contents, told = wanted(case), Told()
    program = external.installed(PROGRAM)
    if program is None:
        return told
    weak = options.accept_weak_isolation
    made = external.run([program, "-ver"], b"", runnable=[INTERPRETER], accept_weak=weak)
    version = made.output.decode("ascii", "replace").strip()[:20] if isinstance(made, external.Ran) else "unknown"
    if isinstance(made, external.Ran):
        told.isolation[PROGRAM] = made.isolation  # also where it has no answer to what follows
    with Runs(program, options.workers, weak) as runs:
        again = Again(
            mode=FAST,
            extractor="clew.intake.whole:PLUGIN",
            trait=f"{PREFIX}{TAGS[0]}",
            had="SELECT content FROM traits WHERE extractor = 'exiftool' AND missing IS NULL",
            most=200,
            hear=partial(_handed, runs, version),
            late=partial(_answered, runs, version, told),
            beside=told.isolation,
            called="exiftool on maker notes",
        )
        told.looked = look(case, contents, again, options, exhibit, bar)
    return told


def _handed(
    runs: Runs, version: str, content: bytes, value: dict[str, Any], blobs: tuple[bytes, ...]
) -> list[dict[str, Any]]:
    """Gives what `clew.intake.whole` handed over to exiftool; rows where that is nothing."""
    if blobs:
        runs.give(content, blobs[0])
        return []
    (row,) = value["traits"]
    return _rows(version, Missing(Reason(row["missing"]), str(row["detail"])[:MOST_TEXT]))


def _answered(
    runs: Runs, version: str, told: Told, may: Callable[[], object], over: bool
) -> Iterator[tuple[bytes, list[dict[str, Any]]]]:
    for content, answer in runs.answers(may, over=over):
        yield content, _rows(version, answer)
    if runs.isolation:
        told.isolation[PROGRAM] = runs.isolation


def _rows(version: str, answer: Tags | Missing) -> list[dict[str, Any]]:
    """Trait rows of one answer."""
    empty = dict.fromkeys(("text", "number", "integer", "data", "missing", "detail"))
    by = {"extractor": PLUGIN.name, "version": f"{PLUGIN.version} (exiftool {version})"}
    if not answer:
        answer = Missing(Reason.NOT_APPLICABLE, "exiftool finds no serial number or count in it")
    if isinstance(answer, Missing):
        return [{**empty, **by, **_said("exiftool", answer)}]
    return [{**empty, **by, **row} for tag, said in answer.items() for row in _columns(f"{PREFIX}{tag}", said)]


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
