"""A second count of a disc: how many files with bytes its first session has by The Sleuth Kit, whose reader of ISO 9660
shares no code with clew's own.

It joins the trees of the session as clew does, by where contents lie, but only of files that have bytes: so these alone
are counted. It takes each extent of a large file for a file, and reads no later session.
"""

from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import pytsk3

from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.intake.disk.image import Image, image, key, reason
from clew.intake.disk.iso_disc import disc
from clew.intake.disk.iso_records import plain_name, table
from clew.intake.disk.iso_tree import MOST_TABLE, Volume
from clew.model import Missing, Reason

READER = f"The Sleuth Kit {pytsk3.get_version()}"
SECONDS = 5.0
MOST_RECORDS = 40_000  # of all trees: it looks for each among all, which takes 11 s then, and half as many again 78 s
MOST_NAME = 128  # bytes of UTF-8
LATER = "The Sleuth Kit reads the first session alone"
TOO_MANY = f"The Sleuth Kit takes too long over more than {MOST_RECORDS:,} directory records"
LONG_NAME = f"The Sleuth Kit opens no disc with a directory whose name has more than {MOST_NAME} bytes"
_DIRECTORY = int(pytsk3.TSK_FS_META_TYPE_DIR)


def uncounted(trees: Iterable[Volume], records: int) -> str:
    """Why there is no second count of these trees, which have so many directory records; "" where there is one."""
    if records > MOST_RECORDS:
        return TOO_MANY
    for each in trees:
        size, little, _ = each.said.tables
        rows = table(each.disc.read(each.place(little), min(size, MOST_TABLE))) if each.said.joliet else ()
        if any(len(plain_name(name, joliet=True)) > MOST_NAME for _, name in rows):
            return LONG_NAME
    return ""


def count(payload: dict[str, Any]) -> Reply:
    """A stretch of it: "pending" is the number of the next file, in a list; None at the beginning. "places" are those
    at which contents begin: of several names of one content it takes all of the tree that it reads first, and no more.
    """
    opened = _opened(payload)
    number, end = (payload["pending"] or [int(opened.info.first_inum)])[0], int(opened.info.last_inum)
    places = _places(opened, number)
    contents, unreadable, before = 0, 0, len(places)
    until = monotonic() + SECONDS
    while number < end and monotonic() < until:  # the last one is its own directory of orphans
        try:
            found = _begins(opened, number)
            contents += found is not None
            places |= {found} - {None}
        except OSError:
            unreadable += 1
        number += 1
    _kept["next"] = number
    counts = {"contents": contents, "places": len(places) - before, "unreadable": unreadable}
    return Reply({**counts, "pending": [number] if number < end else []})


# Of the disc that was counted last: where the contents of the files before "next" begin.
_kept: dict[str, Any] = {"volume": None, "opened": None, "places": set(), "next": 0}


def _places(opened: pytsk3.FS_Info, number: int) -> set[int | None]:
    """Where the contents of the files before that one begin, which another worker may have counted."""
    first = int(opened.info.first_inum)
    if number == first or _kept["next"] != number:
        _kept.update(places=set(), next=number)
        for each in range(first, number):
            with suppress(OSError):
                _kept["places"] |= {_begins(opened, each)} - {None}
    places: set[int | None] = _kept["places"]
    return places


def _begins(opened: pytsk3.FS_Info, number: int) -> int | None:
    """The first block of a file that has bytes; None for what is none. Raises OSError."""
    file = opened.open_meta(inode=number)
    if int(file.info.meta.type) == _DIRECTORY or not int(file.info.meta.size):
        return None
    return next((int(run.addr) for attribute in file for run in attribute), 0)


def _opened(payload: dict[str, Any]) -> pytsk3.FS_Info:
    """The disc as The Sleuth Kit sees it, which reads all directories when it opens one. Raises Absent."""
    volume = key(payload), payload["offset"]
    if _kept["volume"] != volume:
        here = disc(image(payload), payload["offset"])
        try:
            if here is None:
                raise OSError("there is no primary volume descriptor")
            source = Image(here.source)
            opened = pytsk3.FS_Info(source, offset=here.start, type=pytsk3.TSK_FS_TYPE_ISO9660)
        except OSError as error:
            why = f"{READER} does not open it: {reason(error)}"
            raise Absent(Missing(Reason.UNPARSABLE, why)) from error
        _kept.update(volume=volume, opened=opened, places=set(), next=0)
    return _kept["opened"]
