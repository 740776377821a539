"""What eMule and aMule remember, held against hashes made anew from the files themselves."""

import base64
import hashlib
import struct

import pytest
from client_files import P2P
from Cryptodome.Hash import MD4
from hypothesis import assume, given
from hypothesis import strategies as st

from artefacts_here import PLUGINS, entries, one, rows
from clew.intake import reading
from clew.intake.api import Probe
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts.preferences_dat import wire_form

AMULE = P2P / "amule-2.3.3"
ED2K = ("known_met", "part_met", "preferences_dat", "clients_met")


def known_met(records: list[bytes], header: int = 0x0E) -> bytes:
    return struct.pack("<BI", header, len(records)) + b"".join(records)


@pytest.mark.corpus
def test_known_met_of_amule_names_the_files_that_lie_beside_it() -> None:
    data = (AMULE / "known.met").read_bytes()
    found = entries(rows(data, "known_met"))
    contents = {path.name: path.read_bytes() for path in (P2P / "content").iterdir() if path.is_file()}
    assert {each["name"] for each in found} == set(contents)
    for each in found:
        content = contents[each["name"]]
        assert len(content) < 9_728_000  # one part: the hash is the MD4 of all of it
        assert each["ed2k"] == MD4.new(content).hexdigest()
        assert each["size"] == len(content)
        at, length = each["at"]
        assert bytes.fromhex(each["ed2k"]) in data[at : at + length]
        assert base64.b32encode(bytes.fromhex(each["aich"])) in data


@pytest.mark.corpus
def test_aich_of_a_file_of_one_block_is_its_sha1() -> None:
    """Of two files in the corpus one is below 180 KiB times two, so its tree has two leaves (aMule wiki, "AICH")."""
    (small,) = [e for e in entries(rows((AMULE / "known.met").read_bytes(), "known_met")) if e["size"] == 300_000]
    content, block = (P2P / "content/clew-test-a.bin").read_bytes(), 184_320
    leaves = [hashlib.sha1(content[at : at + block]).digest() for at in range(0, len(content), block)]
    assert small["aich"] == hashlib.sha1(b"".join(leaves)).hexdigest()


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["001.part.met", "001.part.met.bak"])
def test_part_met_of_amule(name: str) -> None:
    (entry,) = entries(rows((AMULE / "Temp" / name).read_bytes(), "part_met"))
    assert (entry["ed2k"], entry["name"]) == ("0123456789abcdef" * 2, "clew-pending.bin")
    assert (entry["size"], entry["downloaded"]) == (9_800_000, 0)


@pytest.mark.corpus
def test_the_user_hash_of_amule_as_it_is_sent() -> None:
    data = (AMULE / "preferences.dat").read_bytes()
    found = rows(data)
    wire = bytes.fromhex(one(found, "p2p.user_hash")["data"])
    assert (wire[5], wire[14]) == (14, 111)
    assert [b for n, b in enumerate(wire) if n not in (5, 14)] == [
        b for n, b in enumerate(data[1:]) if n not in (5, 14)
    ]
    (entry,) = entries(found)
    assert entry["user_hash"] == data[1:].hex()
    assert "alone" in entry["recognised_by"]


EMULES = b"\x14" + wire_form(bytes(range(16))) + (44).to_bytes(4, "little") + bytes(40)


@pytest.mark.parametrize("damaged", [EMULES[:-9], EMULES + b"x", EMULES[:17] + b"x" + EMULES[18:]])
def test_a_preferences_dat_that_is_damaged_behind_its_hash_tells_it(damaged: bytes) -> None:
    found = rows(damaged)
    assert one(found, "p2p.user_hash")["data"] == wire_form(bytes(range(16))).hex()
    assert "damaged" in one(found, "p2p.entries")["detail"]


def test_a_preferences_dat_without_a_hash_is_said() -> None:
    found = rows(EMULES[:1] + bytes(16) + EMULES[17:])
    assert one(found, "p2p.user_hash") is None
    assert "all zeros" in one(found, "p2p.entries")["detail"]


def test_two_forms_of_one_user_hash_are_one() -> None:
    stored, sent = bytes(range(16)), bytearray(range(16))
    sent[5], sent[14] = 14, 111
    assert wire_form(stored) == wire_form(bytes(sent)) == bytes(sent)


def test_a_hundred_thousand_files_come_through() -> None:
    record = made.record("00000000.bin", 100_000)
    records = [record.replace(b"00000000", b"%08d" % n) for n in range(100_000)]
    found = rows(known_met(records), "known_met")
    assert (one(found, "p2p.entries.declared")["integer"], one(found, "p2p.entries.read")["integer"]) == (100_000,) * 2
    assert one(found, "p2p.entries") is None
    texts = [row["text"] for row in found if row["name"] == "p2p.entry"]
    assert len(texts) == 100_000
    assert sum(map(len, texts)) < reading.MOST_SAID
    assert '"name":"00099999.bin"' in texts[-1]


def test_large_files_and_counters_of_64_bits() -> None:
    (entry,) = entries(rows(known_met([made.record("large.bin", 5 << 32, uploaded=7 << 32)], 0x0F)))
    assert (entry["size"], entry["uploaded"], entry["requests"]) == (5 << 32, 7 << 32, 3)


@pytest.mark.parametrize("declared", [0, 3, 11, 0xFFFFFFFF])
def test_a_count_that_does_not_fit_is_seen(declared: int) -> None:
    data = known_met([made.record(f"{n}.bin", 9) for n in range(10)])
    found = rows(data[:1] + struct.pack("<I", declared) + data[5:], "known_met")
    read = one(found, "p2p.entries.read")
    if declared < 10:
        assert read["integer"] == 10
        behind = f"10 of {declared} entries were read: {10 - declared} stand behind as many as it states"
        assert one(found, "p2p.entries")["detail"] == behind
    else:
        assert read["integer"] == 10
        assert f"10 of {declared} entries were read: nothing is left at byte" in one(found, "p2p.entries")["detail"]


@pytest.mark.parametrize("broken", [{4}, {4, 5}, {1, 8}, {9}, set(range(3, 10))])
def test_a_broken_record_costs_itself_alone(broken: set[int]) -> None:
    records = [bytearray(made.record(f"{n}.bin", n + 1)) for n in range(10)]
    for each in broken:
        records[each][26] = 0x7F  # the type of its first tag
    data = known_met([bytes(each) for each in records])
    found = rows(data, "known_met")
    assert [each["size"] for each in entries(found)] == [n + 1 for n in range(10) if n not in broken]
    detail = one(found, "p2p.entries")["detail"]
    assert f"{10 - len(broken)} of 10 entries were read: bytes" in detail
    assert "unknown type 127" in detail


def test_records_with_part_hashes_are_found_behind_a_break() -> None:
    record = made.record("large.bin", 9_728_000 * 5)
    large = record[:20] + struct.pack("<H", 5) + bytes(80) + record[22:]
    found = rows(known_met([made.record("a", 1), made.record("b", 2)[:-3], large, made.record("c", 3)]), "known_met")
    assert [each["name"] for each in entries(found)] == ["a", "large.bin", "c"]
    assert one(found, "p2p.entries.read")["integer"] == 3


def test_a_file_full_of_what_looks_like_records_ends() -> None:
    data = struct.pack("<BI", 0x0E, 10**6) + made.record("a", 1) + b"\x02\x01\x00\x01" * 500_000
    found = rows(data, "known_met")
    assert one(found, "p2p.entries.read")["integer"] == 1
    assert one(found, "p2p.entries") is not None


@given(st.integers(26, 200))
def test_a_damaged_part_met_still_tells_its_hash(cut: int) -> None:
    data = bytes([0xE0]) + made.record("card.bin", 40_000)
    found = rows(data[:cut], "part_met")
    if not found:
        assert cut < 1 + 26 + 14 + 8  # what its first two tags need
        return
    assert entries(found)[0]["ed2k"] == hashlib.sha256(b"card.bin").hexdigest()[:32]
    assert (one(found, "p2p.entries") is not None) == (cut < len(data))


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\x0e\x01\0\0\0", b"\xe0", b"\xe2", b"\x14", b"\x0f\xff\xff\xff\xff", b""]),
)
def test_junk_is_no_artefact_of_ed2k(junk: bytes, first: bytes) -> None:
    """Without a byte 1 or 2 no tag is that of a name or of a size, and without such a tag nothing is a record."""
    rows(first + junk)  # whatever it is, it ends well
    none = first + junk.translate(None, b"\x01\x02")
    assume(none[:1] != b"\x14" or len(none) not in (17, 61))  # a preferences.dat is told by its length
    assert [row for name in ED2K for row in rows(none, name)] == []


HEADER, FIELDS = 5, 26  # bytes before the first record, and in it before its part hashes and tags
FIRST_RECORD = {
    "the type of its first tag": (FIELDS, b"\x7e"),
    "the name of its first tag": (FIELDS + 1, b"\xff\xff"),
    "the length of its name": (FIELDS + 4, b"\x08\xff"),
    "the number of its part hashes": (20, b"\x60\xea"),
    "the number of its tags": (22, b"\xff\xff\xff\xff"),
    "all of its first fields": (0, b"\xaa" * 40),
}


@pytest.mark.parametrize("spoiled", FIRST_RECORD)
def test_a_first_record_that_is_broken_costs_itself_alone(spoiled: str) -> None:
    at, wrong = FIRST_RECORD[spoiled]
    data = bytearray(known_met([made.record(f"card{n}.bin", n + 1) for n in range(3)]))
    data[HEADER + at : HEADER + at + len(wrong)] = wrong
    found = rows(bytes(data), "known_met")
    assert one(found, "p2p.artefact")["text"] == "known.met"
    assert [each["size"] for each in entries(found)] == [2, 3]
    assert "2 of 3 entries were read: bytes 5 to" in one(found, "p2p.entries")["detail"]


@pytest.mark.parametrize("spoiled", [each for each in FIRST_RECORD if each != "all of its first fields"])
@pytest.mark.parametrize(("name", "header"), [("known_met", b"\x0e\1\0\0\0"), ("part_met", b"\xe0")])
def test_the_only_record_is_said_where_it_is_broken(spoiled: str, name: str, header: bytes) -> None:
    at, wrong = FIRST_RECORD[spoiled]
    data = bytearray(header + made.record("card.bin", 40_000))
    data[len(header) + at : len(header) + at + len(wrong)] = wrong
    found = rows(bytes(data), name)
    assert one(found, "p2p.artefact") is not None
    assert "of 1 entries were read: " in one(found, "p2p.entries")["detail"]
    assert all(each["ed2k"] == hashlib.sha256(b"card.bin").hexdigest()[:32] for each in entries(found))


@pytest.mark.parametrize(("name", "header"), [("known_met", b"\x0e\1\0\0\0"), ("part_met", b"\xe0")])
def test_a_file_that_ends_in_its_first_name_is_said(name: str, header: bytes) -> None:
    found = rows(header + made.record("card.bin", 40_000)[: FIELDS + 10], name)
    assert one(found, "p2p.artefact") is not None
    assert "a tag runs past the end" in one(found, "p2p.entries")["detail"]


def test_zeros_amid_a_known_met_are_no_records() -> None:
    """26 of them have the form of a record without tags: those would use up the number that it states."""
    records = [made.record(f"card{n:02}.bin", n + 1) for n in range(60)]
    data = bytearray(known_met(records))
    data[HEADER + len(records[0]) : HEADER + 30 * len(records[0])] = bytes(29 * len(records[0]))
    found = rows(bytes(data), "known_met")
    assert [each["size"] for each in entries(found)] == [1, *range(31, 61)]
    assert "31 of 60 entries were read" in one(found, "p2p.entries")["detail"]


def test_a_large_file_that_begins_with_a_small_number_is_not_said_to_be_a_list() -> None:
    class Large:
        size, bad = 1 << 40, ()

        def read(self, offset: int, length: int) -> bytes:
            return struct.pack("<QQ", 14, 7)[offset : offset + length]

    assert list(PLUGINS["known_met"].traits(Probe(None, 1 << 40, "", source=Large()))) == []


@given(st.data())
def test_a_flipped_byte_never_makes_an_entry_vanish_unsaid(data: st.DataObject) -> None:
    records = [made.record(f"{n}.bin", 9) for n in range(5)]
    whole = bytearray(known_met(records))
    at = data.draw(st.integers(5, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = rows(bytes(whole), "known_met")
    read = len(entries(found))
    assert read == 5 or one(found, "p2p.entries") is not None
    assert one(found, "p2p.entries.declared")["integer"] == 5


def clients_met(number: int) -> bytes:
    form = struct.Struct("<16sIIIIIHB80x")
    records = [form.pack(bytes([n] * 16), 7, 8, 1_700_000_000 + n, n, 0, 0, 76) for n in range(number)]
    return struct.pack("<BI", 0x12, number) + b"".join(records)


def test_with_whom_data_moved() -> None:
    found = entries(rows(clients_met(3)))
    assert [each["uploaded"] for each in found] == [7, 7 | 1 << 32, 7 | 2 << 32]
    assert [each["downloaded"] for each in found] == [8, 8, 8]
    assert [each["user_hash"] for each in found] == [bytes([n] * 16).hex() for n in range(3)]
    assert [each["last_seen_s"] for each in found] == [1_700_000_000, 1_700_000_001, 1_700_000_002]


@pytest.mark.parametrize("cut", [1, 118, 119, 120, 230])
def test_a_clients_met_that_was_cut_says_what_is_lost(cut: int) -> None:
    found = rows(clients_met(3)[:-cut])
    there = (3 * 119 - cut) // 119
    assert (len(entries(found)), one(found, "p2p.entries.declared")["integer"]) == (there, 3)
    assert f"{there} of 3 entries were read" in one(found, "p2p.entries")["detail"]


@pytest.mark.parametrize("declared", [0, 1])
def test_a_clients_met_with_more_records_than_it_states(declared: int) -> None:
    data = clients_met(3)
    found = rows(data[:1] + struct.pack("<I", declared) + data[5:])
    assert len(entries(found)) == 3
    behind = f"3 of {declared} entries were read: {3 - declared} stand behind as many as it states"
    assert one(found, "p2p.entries")["detail"] == behind


def test_a_clients_met_that_was_cut_and_whose_first_record_is_damaged() -> None:
    data = bytearray(clients_met(4)[:-20])
    data[5 + 24 : 5 + 28] = bytes(4)  # when it was last seen
    found = rows(bytes(data))
    assert (len(entries(found)), one(found, "p2p.entries.declared")["integer"]) == (3, 4)


@pytest.mark.corpus
def test_clients_met_of_an_amule_that_met_nobody() -> None:
    found = rows((AMULE / "clients.met").read_bytes())
    assert one(found, "p2p.artefact")["text"] == "clients.met"
    assert one(found, "p2p.entries.declared")["integer"] == 0
