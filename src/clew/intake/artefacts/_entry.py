r"""One entry of an artefact (a torrent in resume.dat, a file in known.met) as Traits: its fields and their places.

Trait "p2p.entry", one an entry: canonical JSON of at most 4,096 characters, with these fields. Times are seconds since
1970 by the clock of the machine that wrote it.

| field | meaning |
|---|---|
| network, client, kind | bittorrent or ed2k; which client wrote it, as far as it tells; what kind of artefact |
| at | [offset, bytes] of the entry in the content |
| where | field -> [offset, bytes]: the bytes that say it; not in .met files, whose entries are short themselves |
| missing | field -> why it is not here although the artefact has something in its place |
| infohash_v1, infohash_v2 | hexadecimal; BEP 3 and BEP 52 |
| ed2k, aich | hexadecimal; the MD4 and the SHA-1 tree hash of the file |
| user_hash, user_hash_wire | hexadecimal; as stored, and as eMule sends it (bytes 5 and 14 are 14 and 111); the |
|  | client's own, but in clients.met that of another, to and from which the bytes went |
| node_id | hexadecimal; the DHT's name of this client |
| name, save_path, listen | texts; bytes that are no UTF-8 stand as \xNN |
| size, piece_length, pieces, pieces_have | bytes; bytes of a piece; pieces of the torrent, and how many are held |
| uploaded, downloaded | bytes, as the client counted them |
| requests, accepted | how often others asked for the file, and were served |
| created_s, added_s, completed_s | the torrent was made; the entry was added; the download was complete |
| active_s, last_upload_s, last_download_s | last activity, upload, download |
| last_seen_s, shared_s | last seen whole at others, or the client itself last seen; last shared |
| modified_s | the file itself was last changed |
| endpoints, files | how many follow in "p2p.entry.endpoints" and "p2p.entry.files" |
| recognised_by | only where the kind has no sure mark: by what it was taken for one |

A field that the artefact does not have is absent. Traits "p2p.entry.endpoints" and "p2p.entry.files" hold {"at",
"from", "endpoints" or "files"}: the entry's `at`, the number of the first one in this Trait, and the list. An endpoint
is [address, port, offset, bytes]. A file is {index, size, path, offset: where it begins in the torrent, pad, root: of
BEP 52}.
"""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from clew.intake.api import Value
from clew.model import Missing, Reason

ENTRY = "p2p.entry"
MOST_TEXT = 4096  # characters of a text trait
MOST_FIELD = {"name": 600, "save_path": 700, "listen": 300, "client": 100}  # characters, as JSON writes them
LATEST_S = 1 << 33  # the year 2242: what is later is no time
Found = Mapping[Any, tuple[Any, slice]]


class Entry:
    """One entry in the making; a `small` one is shown by all of its bytes. `take_*` read a field of what was found,
    where it is there and has the right type.
    """

    def __init__(self, network: str, client: str, kind: str, place: slice, *, small: bool = False) -> None:
        self.at = _span(place)
        self._small = small
        self.fields: dict[str, Any] = {"network": network, "kind": kind}
        self._where: dict[str, list[int]] = {}
        self._missing: dict[str, str] = {}
        self._lists: dict[str, list[Any]] = {"endpoints": [], "files": []}
        self._cut: list[str] = []
        self.say_text("client", client)

    def say(self, name: str, value: Any, place: slice | None = None) -> None:
        """Sets a field, shown by the bytes at `place`."""
        self.fields[name] = value
        if place is not None:
            self._where[name] = _span(place)

    def say_text(self, name: str, text: str, place: slice | None = None) -> None:
        """Sets a text; what is too long is cut, and that is said."""
        short = _shortened(text, MOST_FIELD[name])
        self.say(name, short, place)
        if short != text:
            self._cut.append(name)
            self.lack(name, Reason.LIMIT_REACHED, f"{len(text)} characters, the first {len(short)} are here")

    def lack(self, name: str, reason: Reason, detail: str) -> None:
        """Says why a field is not here, or not whole."""
        self._missing[name] = str(Missing(reason, detail[:80]))

    def take_time(self, name: str, found: Found, key: Any) -> None:
        """Seconds since 1970; 0 stands for "never" in all these formats."""
        value = self._integer(name, found, key)
        if value is None:
            return
        if value <= 0:
            self.lack(name, Reason.NOT_APPLICABLE, f"the artefact says {value}, which stands for never")
        elif value >= LATEST_S:
            self.lack(name, Reason.UNPARSABLE, f"{value} is no time")
        else:
            self.say(name, value, found[key][1])

    def take_count(self, name: str, found: Found, key: Any) -> None:
        """A number that is not negative."""
        value = self._integer(name, found, key)
        if value is not None and 0 <= value < 1 << 63:
            self.say(name, value, found[key][1])
        elif value is not None:
            self.lack(name, Reason.UNPARSABLE, f"{value} is no count")

    def take_text(self, name: str, found: Found, key: Any) -> None:
        """A text; empty ones are absent."""
        value, place = found.get(key, (b"", slice(0, 0)))
        if not isinstance(value, bytes):
            self.lack(name, Reason.UNPARSABLE, "not a string")
        elif value:
            self.say_text(name, printable(value), place)

    def take_hash(self, name: str, found: Found, key: Any, length: int) -> None:
        """Raw bytes of a fixed length, as hexadecimal; all zeros stand for "none"."""
        if key not in found:
            return
        value, place = found[key]
        if not isinstance(value, bytes) or len(value) != length:
            self.lack(name, Reason.UNPARSABLE, f"not {length} bytes")
        elif any(value):
            self.say(name, value.hex(), place)

    def endpoint(self, address: bytes, port: int, place: slice) -> None:
        """One endpoint that the client knew; `address` of 4 or 16 bytes."""
        known = ipaddress.ip_address(address)
        mapped = known.ipv4_mapped if isinstance(known, ipaddress.IPv6Address) else None
        self._lists["endpoints"].append([str(mapped or known), port, *_span(place)])

    def file(self, **fields: Any) -> None:
        """One file of the entry."""
        text = fields["path"]
        fields["path"] = _shortened(text, MOST_FIELD["save_path"])
        if fields["path"] != text:
            self._cut.append(f"path of file {fields['index']}")
        self._lists["files"].append(fields)

    def traits(self) -> Iterator[tuple[str, Value]]:
        """The entry, its lists, and what was cut."""
        for name, values in self._lists.items():
            if values:
                self.fields[name] = len(values)
        parts: dict[str, Any] = {"at": self.at, "missing": self._missing, "where": {} if self._small else self._where}
        yield ENTRY, canonical(self.fields | {name: value for name, value in parts.items() if value})
        for name, values in self._lists.items():
            yield from self._chunks(name, values)
        if self._cut:
            told = ", ".join(self._cut[:10]) + (f" and {len(self._cut) - 10} more" if len(self._cut) > 10 else "")
            yield f"{ENTRY}.cut", Missing(Reason.LIMIT_REACHED, f"entry at byte {self.at[0]}: cut {told}")

    def _integer(self, name: str, found: Found, key: Any) -> int | None:
        if key not in found:
            return None
        value = found[key][0]
        if type(value) is not int:
            self.lack(name, Reason.UNPARSABLE, "not an integer")
            return None
        return value

    def _chunks(self, name: str, values: list[Any]) -> Iterator[tuple[str, Value]]:
        """The list in as many Traits as it takes."""
        first, chunk, room = 0, list[Any](), 0
        for number, value in enumerate(values):
            size = len(canonical(value)) + 1
            if chunk and room + size > MOST_TEXT - 200:
                yield f"{ENTRY}.{name}", canonical({"at": self.at, "from": first, name: chunk})
                first, chunk, room = number, [], 0
            chunk.append(value)
            room += size
        if chunk:
            yield f"{ENTRY}.{name}", canonical({"at": self.at, "from": first, name: chunk})


def canonical(value: Any) -> str:
    """JSON with its keys in order and no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def printable(raw: bytes) -> str:
    """UTF-8 as it is; a byte that is none as backslash, x and two digits."""
    return raw.decode("utf-8", "backslashreplace")


def _shortened(text: str, most: int) -> str:
    while len(canonical(text)) > most + 2:
        text = text[: min(most, len(text) * most // len(canonical(text)))]
    return text


def _span(place: slice) -> list[int]:
    return [place.start, place.stop - place.start]
