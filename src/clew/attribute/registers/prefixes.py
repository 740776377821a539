"""A list of prefixes in CSV: `network,country,subdivision,kind`: Tor, VPN, proxies, hosting, CGNAT, mobile, countries.

    # dated: 2026-11-01
    network,country,subdivision,kind
    100.64.0.0/10,,,cgnat

The longest prefix wins, field by field: what it leaves blank, the network around it says (no part of another country).
Columns that are not there are unknown, others are ignored. `dated` is a day or a full ISO time in UTC; without it the
register has no date, and what it says of a country is "uncertain".
"""

import csv
import ipaddress
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from clew.attribute.api import Answer, NetworkKind, OpenRegister, Register
from clew.core.errors import Damaged, Usage

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_ROWS = 5_000_000


class _Open:
    """Prefixes nest or are apart, so each list is flattened into ranges of the longest prefix, then bisected."""

    def __init__(self, path: Path) -> None:
        self.data = path
        self.dated_ns, rows = _read(path)
        self._ranges = {version: _flatten([r for r in rows if r[0].version == version]) for version in (4, 6)}

    def lookup(self, address: str) -> Answer:
        """See OpenRegister."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return Answer()
        starts, answers = self._ranges[parsed.version]
        at = bisect_right(starts, int(parsed)) - 1
        return answers[at] if at >= 0 else Answer()


def _flatten(rows: list[tuple[Network, Answer]]) -> tuple[list[int], list[Answer]]:
    """Starts of ranges in order, and what holds from each start on."""
    starts: list[int] = []
    answers: list[Answer] = []
    open_ones: list[tuple[int, Answer]] = []

    def begin(at: int, answer: Answer) -> None:
        if starts and starts[-1] == at:
            answers[-1] = answer
        else:
            starts.append(at)
            answers.append(answer)

    def close_before(at: int | None) -> None:
        while open_ones and (at is None or open_ones[-1][0] < at):
            end, _ = open_ones.pop()
            begin(end + 1, open_ones[-1][1] if open_ones else Answer())

    for network, answer in sorted(rows, key=lambda row: (int(row[0].network_address), row[0].prefixlen)):
        first = int(network.network_address)
        close_before(first)
        full = _within(answer, open_ones[-1][1]) if open_ones else answer
        begin(first, full)
        open_ones.append((int(network.broadcast_address), full))
    close_before(None)
    return starts, answers


def _within(inner: Answer, outer: Answer) -> Answer:
    kind = outer.kind if inner.kind is NetworkKind.UNKNOWN else inner.kind
    country = inner.country or outer.country
    around = outer.subdivision if country == outer.country else None
    return Answer(country, inner.subdivision or around, kind, inner.network)


def _read(path: Path) -> tuple[int | None, list[tuple[Network, Answer]]]:
    dated_ns: int | None = None
    lines: list[str] = []
    numbers: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(file, 1):
                if line.startswith("#"):
                    dated_ns = _date(line, path, number) or dated_ns
                elif line.strip():
                    lines.append(line)
                    numbers.append(number)
                if number > MAX_ROWS:
                    raise Usage(f"{path} has more than {MAX_ROWS:,} lines", "split it, or use an .mmdb file")
    except FileNotFoundError as error:
        raise Usage(f"there is no register file {path}", "give the path of a CSV file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} cannot be read as UTF-8 text: {error}", "save it as UTF-8 CSV") from error
    reader = csv.DictReader(lines)
    try:
        if "network" not in (reader.fieldnames or ()):
            raise Damaged(f"{path} has no column `network`", "begin it with: network,country,subdivision,kind")
        return dated_ns, [_row(row, path, number) for row, number in zip(reader, numbers[1:], strict=False)]
    except csv.Error as error:
        raise Damaged(f"{path} is no CSV: {error}", "save it as UTF-8 CSV") from error


def _row(row: dict[str, str | None], path: Path, number: int) -> tuple[Network, Answer]:
    try:
        network = ipaddress.ip_network((row["network"] or "").strip(), strict=True)
        kind = NetworkKind((row.get("kind") or "unknown").strip().lower())
    except ValueError as error:
        raise Damaged(f"{path} line {number}: {error}", f"kinds are: {', '.join(NetworkKind)}") from error
    country, subdivision = ((row.get(key) or "").strip().upper() or None for key in ("country", "subdivision"))
    return network, Answer(country, subdivision, kind, str(network))


def _date(line: str, path: Path, number: int) -> int | None:
    key, _, value = line.lstrip("# ").partition(":")
    if key.strip().lower() not in ("dated", "date"):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise Damaged(f"{path} line {number}: {value.strip()!r} is not a date", "write: # dated: 2026-11-01") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * 1_000_000_000


class Prefixes:
    """The plug-in."""

    name = "prefixes"
    what = "a CSV list `network,country,subdivision,kind`: country where given, and the kind of network"

    def open(self, path: Path | None) -> OpenRegister:
        """See Register."""
        if path is None:
            raise Usage("the register prefixes needs a file", "write it as: --register prefixes:FILE")
        return _Open(path)

    def example(self, folder: Path) -> tuple[Path | None, Mapping[str, Answer]]:
        """See Register. Addresses of documentation and of shared space (RFC 5737, RFC 3849, RFC 6598)."""
        path = folder / "example.csv"
        path.write_text(
            "# dated: 2026-11-01\nnetwork,country,subdivision,kind\n198.51.100.0/24,AT,9,isp\n"
            "198.51.100.64/26,,,vpn\n198.51.100.192/26,DE,,\n100.64.0.0/10,,,cgnat\n2001:db8::/32,fr,,hosting\n",
            "utf-8",
        )
        return path, {
            "198.51.100.1": Answer("AT", "9", NetworkKind.ISP, "198.51.100.0/24"),
            "198.51.100.65": Answer("AT", "9", NetworkKind.VPN, "198.51.100.64/26"),
            "198.51.100.128": Answer("AT", "9", NetworkKind.ISP, "198.51.100.0/24"),
            "198.51.100.193": Answer("DE", None, NetworkKind.ISP, "198.51.100.192/26"),
            "198.51.101.0": Answer(),
            "100.64.0.0": Answer(None, None, NetworkKind.CGNAT, "100.64.0.0/10"),
            "2001:db8::1": Answer("FR", None, NetworkKind.HOSTING, "2001:db8::/32"),
            "192.0.2.1": Answer(),
            "no address": Answer(),
        }


PLUGIN: Register = Prefixes()
