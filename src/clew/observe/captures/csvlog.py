"""Logs of other lawful tools as CSV (RFC 4180, UTF-8, commas): the first line names the columns, no field has lines."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from clew.model import Missing, Reason, SightingKind
from clew.observe.captures._examples import WATCHED
from clew.observe.captures._logline import COLUMNS, REQUIRED, Wrong, findings, lines
from clew.observe.taken import Account, Example, Finding, Source, Watchlist

_EXAMPLE = (
    b"time,address,port,transport,watch,seen,tool,tool_version\r\n"
    b"2026-03-01T10:00:00.5Z,127.10.0.1,6881,tcp,W-1,\"handshake, bitfield\",Other Tool,4.2\r\n"
)  # fmt: skip


class CsvLog:
    """The plug-in."""

    name = "csvlog"
    version = "2"
    examples = (
        Example(
            "one line of another tool",
            _EXAMPLE,
            (WATCHED,),
            ({"kind": SightingKind.IMPORTED, "port": 6881, "source": "line 2", "tool": "Other Tool 4.2"},),
        ),
    )

    def recognises(self, head: bytes) -> bool:
        """By a first line that names every column that must be there."""
        first = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].strip().decode("ascii", "replace")
        return set(REQUIRED) <= set(first.split(","))

    def read(self, stream: BinaryIO, watchlist: Watchlist, account: Account) -> Iterator[Finding]:
        """What its lines say of the Watches."""
        names: list[str] = []
        for number, line in lines(stream, account):
            try:
                values = next(csv.reader([line], strict=True))
                if not names:
                    names = _names(values)
                    continue
                if len(values) != len(names):
                    raise Wrong(f"{len(values)} fields where {len(names)} are named")
                found = findings(number, dict(zip(names, values, strict=True)), watchlist, account)
            except (csv.Error, Wrong) as error:
                account.flaw(Missing(Reason.UNPARSABLE, f"line {number}: {error}"))
                if not names:
                    return
                continue
            yield from found


def _names(values: list[str]) -> list[str]:
    """The columns. Raises Wrong where one is unknown, missing or named twice."""
    if set(values) - set(COLUMNS) or set(REQUIRED) - set(values) or len(set(values)) != len(values):
        raise Wrong(f"the columns are not among {', '.join(COLUMNS)}")
    return values


PLUGIN: Source = CsvLog()
