"""The second count of a file system as a part of its own: a count that goes on from its cursor."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clew.intake.api import Ask, Note, Part
from clew.intake.recount import ATTRIBUTES, CONTENTS, GAVE_UP, KIND, MODULUS, NUMBERS, PLACES, SQUARES, UNLISTED
from clew.intake.refs import layer as layer_of
from clew.model import Missing

ENTRY = "clew.intake.disk.recount:count"
MOST_STRETCHES = 720  # of five seconds each: a file system that takes longer goes without
MOST_PENDING = 200_000
PLACE = ("file_system", "offset", "length", "table", "second", "trees")  # of a disc those that are counted together


def items(payload: Mapping[str, Any], cursor: str, ask: Ask) -> Iterator[Note]:
    """What each stretch of the count adds."""
    pending = json.loads(cursor) if cursor else None
    for _ in range(MOST_STRETCHES):
        said = ask(ENTRY, {**payload, "pending": pending, "modulus": MODULUS}, (), 0)
        if isinstance(said, Missing):
            yield Note({f"{GAVE_UP}{said}": 1}, cursor)
            return
        try:
            counts, pending = _checked(said)
        except (KeyError, TypeError, ValueError) as error:
            yield Note({f"{GAVE_UP}its answer made no sense ({type(error).__name__})": 1}, cursor)
            return
        cursor = json.dumps(pending, separators=(",", ":"))
        yield Note(counts, cursor)
        if not pending:
            return
    yield Note({f"{GAVE_UP}it takes too long": 1}, cursor)


def _checked(said: Any) -> tuple[dict[str, int], list[int]]:
    counts = {CONTENTS: said["contents"], UNLISTED: said["unreadable"]}
    if said.get("attributes"):
        counts[ATTRIBUTES] = said["attributes"]
    if "places" in said:
        counts[PLACES] = said["places"]
    if "numbers" in said:
        counts |= {NUMBERS: said["numbers"], SQUARES: said["squares"]}
    pending = said["pending"]
    if len(pending) > MOST_PENDING or any(type(each) is not int or each < 0 for each in (*counts.values(), *pending)):
        raise ValueError("no counts")
    return counts, pending


def parts(name: str, known: Mapping[str, Any]) -> Iterator[Part]:
    """The count of another parser, where there is one."""
    if known.get("second"):
        place = {key: known[key] for key in PLACE if key in known} | layer_of(known)
        yield Part(f"{name}/recount", {"kind": KIND, "parser": place.pop("second"), **place})
