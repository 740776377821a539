"""Logs of other lawful tools as JSON lines: one object a line, fields as the columns of `csvlog`, all of them text."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from clew.model import Missing, Reason, SightingKind
from clew.observe.captures._examples import WATCHED
from clew.observe.captures._logline import COLUMNS, Wrong, findings, lines
from clew.observe.taken import Account, Example, Finding, Source, Watchlist

_EXAMPLE = (
    b'{"time":"2026-03-01T10:00:00Z","address":"127.10.0.1","port":6881,"transport":"utp",'
    b'"infohash":"1111111111111111111111111111111111111111","seen":"handshake","tool":"Other Tool","note":"by hand"}\n'
)


class JsonLines:
    """The plug-in."""

    name = "jsonlines"
    version = "2"
    examples = (
        Example(
            "one line of another tool",
            _EXAMPLE,
            (WATCHED,),
            ({"kind": SightingKind.IMPORTED, "port": 6881, "source": "line 1", "transport": "utp"},),
        ),
    )

    def recognises(self, head: bytes) -> bool:
        """By an object at the very beginning."""
        return head.removeprefix(b"\xef\xbb\xbf")[:1] == b"{"

    def read(self, stream: BinaryIO, watchlist: Watchlist, account: Account) -> Iterator[Finding]:
        """What its lines say of the Watches."""
        for number, line in lines(stream, account):
            try:
                found = findings(number, _fields(line), watchlist, account)
            except Wrong as error:
                account.flaw(Missing(Reason.UNPARSABLE, f"line {number}: {error}"))
                continue
            yield from found


def _fields(line: str) -> dict[str, str]:
    """The fields of a line as text; a port may be a number. Raises Wrong."""
    try:
        told = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Wrong("no JSON object, or a field that stands twice") from error
    if not isinstance(told, dict) or set(told) - set(COLUMNS):
        raise Wrong(f"no JSON object with fields among {', '.join(COLUMNS)}")
    if type(told.get("port")) is int:
        told["port"] = str(told["port"])
    if not all(isinstance(value, str) for value in told.values()):
        raise Wrong("a field that is no text")
    return told


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands twice")
    return dict(pairs)


PLUGIN: Source = JsonLines()
