"""clients.met of eMule and aMule: with which other clients data moved, and how much (aMule wiki, "clients.met file").

A version byte (18), the number of records (4 bytes), and of each record 119 bytes, little-endian: the other client's
user hash (16), bytes sent to it and bytes had from it (the lower 32 bits of each), when it was last seen, the upper 32
bits of both, 2 bytes of nothing, the length of its public key (1) and room for that (80).
"""

import struct
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts._artefact import account, after, head, whole
from clew.intake.artefacts._entry import Entry
from clew.intake.artefacts.preferences_dat import wire_form

KIND = "clients.met"
VERSION, FIRST = 0x12, 5  # its version; bytes of the header and the number of records
RECORD = struct.Struct("<16sIIIIIHB80x")
KEY = 80  # bytes that a public key has at most
LOOKED_AT, ENOUGH = 16, 2  # records of one that was cut or damaged, and how many of them tell it
EARLIEST_S = 1_000_000_000  # 2001: before eMule


class ClientsMet:
    """One entry a record; `user_hash` is the other client's. "p2p.entries.declared" is the number that it states."""

    name = "clients_met"
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Every record that is there whole."""
        first = head(probe)
        if len(first) < FIRST or first[0] != VERSION:
            return
        (count,) = struct.unpack_from("<I", first, 1)
        if not count and probe.size != FIRST and (probe.size - FIRST) % RECORD.size:
            return  # of these five bytes alone many other files may have the first
        data = whole(probe)
        room = (len(data) - FIRST) // RECORD.size
        if not _is_one(data, count, room):
            return
        yield "p2p.artefact", KIND
        there = min(count, room)
        while there < room and _plausible(data, there):  # what says how many may be what is wrong
            there += 1
        for at in range(FIRST, FIRST + there * RECORD.size, RECORD.size):
            yield from _entry(data, at).traits()
        end = FIRST + there * RECORD.size
        yield from account(count, there, _lost(count, there, len(data)))
        yield from after(end, len(data))

    def examples(self) -> Iterator[Example]:
        """None, and two, one of which got more than 4 GiB."""
        for number in (0, 2):
            records = [RECORD.pack(bytes(range(n, n + 16)), 7, 8, 1_700_000_000, n, 0, 0, 76) for n in range(number)]
            data = struct.pack("<BI", VERSION, number) + b"".join(records)
            counts: dict[str, Value | None] = {"p2p.entries.declared": number, "p2p.entries.read": number}
            yield Example(f"{number}.met", data, "application/octet-stream", {"p2p.artefact": KIND} | counts)


def _is_one(data: bytes, count: int, room: int) -> bool:
    """By its length, or, where that is not what it states, by what its records say: the first one, or two of the first;
    with a number of none, most of them.
    """
    if len(data) == FIRST + count * RECORD.size:
        return True
    fit = [_plausible(data, number) for number in range(min(room, LOOKED_AT))]
    if not count:
        return 2 * sum(fit) > len(fit)
    return fit[:1] == [True] or sum(fit) >= ENOUGH


def _plausible(data: bytes, number: int) -> bool:
    _, _, _, seen, _, _, nothing, key = RECORD.unpack_from(data, FIRST + number * RECORD.size)
    return bool(seen >= EARLIEST_S and not nothing and key <= KEY)


def _lost(count: int, there: int, size: int) -> str:
    if there < count:
        return f"it ends at byte {size:,}"
    return f"{there - count} stand behind as many as it states" if there > count else ""


def _entry(data: bytes, at: int) -> Entry:
    user, sent, had, seen, sent_high, had_high, _, _ = RECORD.unpack_from(data, at)
    entry = Entry("ed2k", "eMule or aMule", KIND, slice(at, at + RECORD.size), small=True)
    entry.say("user_hash", user.hex())
    entry.say("user_hash_wire", wire_form(user).hex())
    said = {"uploaded": sent | sent_high << 32, "downloaded": had | had_high << 32, "last_seen_s": seen}
    found = {name: (value, slice(at, at + RECORD.size)) for name, value in said.items()}
    entry.take_count("uploaded", found, "uploaded")
    entry.take_count("downloaded", found, "downloaded")
    entry.take_time("last_seen_s", found, "last_seen_s")
    return entry


PLUGIN: Extractor = ClientsMet()
