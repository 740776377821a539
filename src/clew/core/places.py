"""Where a Content was found: read alike by whoever tells its places.

A stream of a disk may be listed twice: without a name at first, and under one since, when a retry could read the
directory that names it. Both lie in the shards for good; the account says of the first that it is taken back.
"""

import json
from collections.abc import Hashable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from clew.core.case import Case

NAMED_SINCE = "its file record was found without a name at first, and is listed under one since"
OWN_NAME_SINCE = "it was listed by a name that was not its own, or not all of it, and is listed by its own since"
AT_ONCE = 1_000
_TAKEN_BACK = (
    "SELECT id FROM items WHERE id IN (SELECT value FROM json_each(?)) AND state = 'skipped' AND detail IN (?, ?)"
)


def standing(case: Case, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those `rows`, each with a `content`, an `exhibit` and an `item`, whose Item is not taken back, in their order.

    Rows of one Content in one Exhibit lie together. Where all Items of these are taken back, since what has the name
    could not be read or holds other bytes, they are told all the same: no Content loses its last place.
    """
    for _, there in groupby(_judged(case, rows), lambda judged: _place(judged[0])):
        stood, others = False, list[dict[str, Any]]()
        for row, back in there:
            if not back:
                stood = True
                yield row
            elif not stood:
                others.append(row)
        yield from () if stood else others


def named(path: bytes | None) -> dict[str, str]:
    """A path in words and, as it need not be UTF-8, its bytes in hexadecimal."""
    path = path or b""
    return {"path": path.decode("utf-8", "backslashreplace"), "path_hex": path.hex()}


def labels(case: Case) -> dict[str, str]:
    """What people call each Exhibit, by its id and in order of the labels."""
    return {row["id"]: row["label"] for row in case.read().execute("SELECT id, label FROM exhibits ORDER BY label")}


def _place(row: dict[str, Any]) -> Hashable:
    return row["content"], row["exhibit"]


def _judged(case: Case, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each with whether its Item is taken back."""
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        asked = json.dumps([row["item"] for row in some]), NAMED_SINCE, OWN_NAME_SINCE
        back = {row["id"] for row in case.read().execute(_TAKEN_BACK, asked)}
        yield from ((row, row["item"] in back) for row in some)
