"""One line of another tool's log, as `docs/formats.md` describes it: strict, and kept as what it is.

A line is hearsay (E0): clew did not see what the tool saw. Nothing of a line is guessed or repaired; one that is not
exactly as described is recorded with its number and the reason.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO

from clew.model import Missing, Reason, SightingKind
from clew.observe.captures._carry import MAX_NUMBER
from clew.observe.networks._lists import address
from clew.observe.networks._words import plain
from clew.observe.taken import Account, Finding, Watched, Watchlist
from clew.observe.transcript import Transcript

REQUIRED = ("time", "address", "port", "transport", "seen", "tool")
COLUMNS = (*REQUIRED, "infohash", "watch", "tool_version", "note")
TRANSPORTS = ("tcp", "utp", "udp")
MAX_LINE = 8 * 1024
MAX_TEXT = 300
MAX_TOOL = 60
# RFC 3339 section 5.6, in UTC alone, with at most nanoseconds
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
INFOHASH = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wrong(ValueError):
    """This line is not as described; the text says why."""


def lines(stream: BinaryIO, account: Account) -> Iterator[tuple[int, str]]:
    """The lines of the file with their numbers, from 1; those too long or not UTF-8 are flaws."""
    number = 0
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        whole = raw
        while len(raw) > MAX_LINE and not raw.endswith(b"\n"):
            raw = stream.readline(MAX_LINE + 1)
        if len(whole) > MAX_LINE:
            account.flaw(Missing(Reason.TOO_LARGE, f"line {number}: longer than {MAX_LINE} bytes"))
            continue
        try:
            text = whole.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            account.flaw(Missing(Reason.UNPARSABLE, f"line {number}: not UTF-8"))
            continue
        if text:
            yield number, text


def findings(number: int, fields: Mapping[str, str], watchlist: Watchlist, account: Account) -> list[Finding]:
    """What a line says, for each Watch that it is of; for none a count. Raises Wrong."""
    if absent := [name for name in REQUIRED if not fields.get(name)]:
        raise Wrong(f"nothing under {', '.join(absent)}")
    watches = _watched(fields, watchlist)
    account.counts["lines"] += 1
    if not watches:
        account.counts["lines of torrents that are on no Watch"] += 1
        return []
    at_ns, there, port = _time(fields["time"]), _address(fields["address"]), _port(fields["port"])
    if fields["transport"] not in TRANSPORTS:
        raise Wrong(f"a transport that is none of {', '.join(TRANSPORTS)}")
    kept = Transcript()
    words = (f"{name}: {plain(fields[name].encode(), MAX_TEXT)}" for name in ("seen", "note") if fields.get(name))
    kept.received("; ".join(words).encode(), at_ns)
    return [
        Finding(
            kind=SightingKind.IMPORTED,
            watch=watched.id,
            source=f"line {number}",
            address=there,
            port=port,
            transport=fields["transport"],
            other_address="",
            other_port=0,
            started_ns=at_ns,
            ended_ns=at_ns,
            infohash=watched.infohashes[0],
            contact=None,
            returned=False,
            transcript=kept.encode(),
            tool=plain(f"{fields['tool']} {fields.get('tool_version', '')}".encode(), MAX_TOOL),
        )
        for watched in watches
    ]


def _watched(fields: Mapping[str, str], watchlist: Watchlist) -> tuple[Watched, ...]:
    """The Watches that a line names: by label one, by infohash all of that torrent, by both where they agree."""
    label, infohash = fields.get("watch", ""), fields.get("infohash", "")
    if infohash and not INFOHASH.fullmatch(infohash):
        raise Wrong("an infohash that is not 40 or 64 hexadecimal digits")
    if not infohash and not label:
        raise Wrong("neither an infohash nor a watch")
    named = tuple(each for each in (watchlist.by_label.get(label),) if each is not None)
    hashed = watchlist.of(bytes.fromhex(infohash)) if infohash else ()
    if label and infohash and (named or hashed) and not set(named) & set(hashed):
        raise Wrong("an infohash that is not that of the watch")
    return named if label else hashed


def _time(text: str) -> int:
    found = TIME.fullmatch(text)
    if found is None:
        raise Wrong("a time that is not RFC 3339 in UTC")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction = found[7]
    try:
        since = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - EPOCH
    except ValueError as error:
        raise Wrong(f"a time that is none: {error}") from error
    at_ns = (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))
    if not 0 < at_ns <= MAX_NUMBER:
        raise Wrong("a time before 1970 or after 2116")
    return at_ns


def _address(text: str) -> str:
    try:
        return address(text)
    except ValueError as error:
        raise Wrong("an address that is none") from error


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 5 or not 0 < int(text) < 65536:
        raise Wrong("a port that is none")
    return int(text)
