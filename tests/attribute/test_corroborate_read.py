"""What is read of an exhibit: the last that its readers said. What was not read, or makes no sense, is said."""

import hashlib
import json
from typing import Any

from corroborate_case import ADDRESS, BEFORE_S, PORT, V1, fastresume, lay_film

from artefacts_here import PLUGINS, rows
from clew.attribute.corroborate import corroborate
from clew.attribute.weigh import Outcome, Says
from clew.core import shards
from clew.intake.artefacts import _examples as made
from facts_case import put


def entry_of(version: str | None, port: int, **changes: Any) -> list[dict[str, Any]]:
    """What a version of Transmission's reader said of a file: its entry, and whom it knew."""
    by = {"extractor": "transmission", "version": version, "mode": "fast"}
    said = {"network": "bittorrent", "kind": "transmission resume", "at": [0, 9], "infohash_v1": V1.hex()} | changes
    texts = {
        "p2p.artefact": said["kind"], "p2p.entry": json.dumps(said, separators=(",", ":")),
        "p2p.entry.endpoints": json.dumps({"at": [0, 9], "from": 0, "endpoints": [[ADDRESS, port, 0, 6]]}),
    }  # fmt: skip
    return [{"name": name, "text": text, **by} for name, text in texts.items()]


def test_what_an_earlier_version_said_of_an_artefact_counts_no_more(world):
    content = world.lay("B", b"x", b"no artefact to the readers of today")
    world.say(content, entry_of("9", PORT, added_s=BEFORE_S) + entry_of("9", 1, added_s=BEFORE_S))
    assert world.lead().outcome is Outcome.SUPPORTED
    world.say(content, entry_of("10", 1, added_s=BEFORE_S))
    assert (world.lead().outcome, world.lead().findings) == (Outcome.SILENT, [])
    cut = {"name": "p2p.entries", "missing": "unparsable", "detail": "1 of 2 entries were read"}
    world.say(content, [{**cut, "extractor": "transmission", "version": "9", "mode": "fast"}])
    world.belongs("B")
    assert not any("was not read whole" in line for line in world.lead().covered)


def test_what_an_earlier_version_said_of_pieces_holds_until_they_are_held_against_them_again(world):
    by = {"name": "pieces.verified", "extractor": "pieces", "mode": "pieces"}

    def found() -> int:
        return sum(f.says is Says.SUPPORTS and f.kind == "file" for f in world.lead().findings)

    seized, told = lay_film(world, extractor="pieces", mode="pieces", version="1")
    world.belongs("A")
    assert found() == 1
    another = json.dumps(told | {"index": 1, "matching": 0}, sort_keys=True)
    world.say(seized, [{**by, "version": "2", "text": another}])
    assert found() == 1  # of another file of the torrent
    again = json.dumps(told | {"matching": 5}, sort_keys=True)
    world.say(seized, [{**by, "version": "2", "text": again}])
    assert found() == 0


def test_what_a_retry_read_whole_is_what_lies_there(world):
    """Partly read at first, with an entry of its own in what bad sectors left, and read whole by a retry."""
    partial = world.lay("A", b"resume", fastresume(BEFORE_S)[:-9], content_state="partial")
    world.belongs("A")
    lead = world.lead()
    assert lead.outcome is Outcome.SUPPORTED
    assert any("was not read whole" in line for line in lead.covered)
    (row,) = shards.query(world.case, "SELECT item, exhibit FROM contents", {}).to_pylist()
    whole = fastresume(BEFORE_S)
    again = {"sha256": hashlib.sha256(whole).digest(), "size": len(whole), "content_state": "complete"}
    put(world.case, "contents", [row | again], "intake")
    world.say(again["sha256"], [{k: v for k, v in each.items() if k not in ("data", "blob")} for each in rows(whole)])
    lead = world.lead()
    assert {finding.content for finding in lead.findings} == {again["sha256"].hex()} != {partial.hex()}
    assert "artefacts read: 1 fastresume" in lead.covered[0]
    assert not any("was not read whole" in line for line in lead.covered)


def test_what_was_not_read_is_said(world):
    world.lay("A", b"cut", fastresume(BEFORE_S, **{"info-hash": bytes(range(20))})[:-9])
    world.belongs("A")
    lead = world.lead()
    assert lead.outcome is Outcome.SILENT
    assert any("was not read whole: p2p.entries: 1 of 1 entries" in line for line in lead.covered)


def test_what_intake_came_upon_and_nothing_reads_is_said(world):
    resume = next(PLUGINS["transmission"].examples()).data
    for example in PLUGINS["unread"].examples():
        world.lay("A", example.name.encode(), example.data)
    world.lay("A", b"card.0123456789abcdef.resume", resume)
    world.lay("B", V1.hex().encode() + b".resume", resume.replace(b"card.bin", b"cord.bin"))
    world.belongs("A")
    world.belongs("B")
    lead = world.lead()
    (said,) = [line for line in lead.covered if "not read:" in line]
    assert said.startswith("A: of clients, and not read: 1 Deluge's torrents.state, 1 Vuze's or BiglyBT's")
    assert "1 qBittorrent's torrents.db" in said
    assert said.endswith("1 transmission resume whose name has no whole infohash")


SENSELESS = (
    "[", "[]", "{}", '{"network":"bittorrent"}', '{"network":"bittorrent","kind":"x","at":5}', "[" * 4000,
    '{"network":"bittorrent","kind":"x","at":[0,1],"infohash_v1":"zz"}',
    '{"network":"bittorrent","kind":"x","at":[0,1],"infohash_v1":"' + V1.hex() + '","added_s":1e400}',
)  # fmt: skip


def test_traits_of_no_sense_end_nothing_and_are_counted(world):
    content = world.lay("A", b"x", b"anything")
    names = ("p2p.entry", "p2p.entry.endpoints", "pieces.verified")
    world.say(content, [{"name": name, "text": text} for name in names for text in SENSELESS])
    world.say(content, [{"name": "p2p.entry", "text": text + ' "network":"bittorrent"'} for text in SENSELESS])
    world.belongs("A")
    report = corroborate(world.case)
    assert report.leads[0].outcome is Outcome.SILENT
    assert any("do not say what they must" in line for line in report.covered)


def test_what_was_not_held_against_pieces_is_said_until_it_was(world):
    torrent = world.lay("A", b"a.torrent", made.bencode({"info": {"name": "a"}}))
    listed = {"at": [0, 9], "from": 0, "files": [{"index": 0, "size": 700, "path": "a", "offset": 0}]}
    world.say(torrent, [
        {"name": "p2p.artefact", "text": "torrent metainfo"}, {"name": "p2p.entry.files", "text": json.dumps(listed)},
    ])  # fmt: skip
    film = world.lay("A", b"film", b"seized." * 100)
    world.lay("A", b"copy of film", b"seized." * 100)
    line = "A: 2 files have the size of one in a seized torrent and were not held against its pieces: "
    line += "run `clew pieces CASE`"
    report = corroborate(world.case)
    assert line in report.covered
    world.belongs("A")
    report = corroborate(world.case)
    assert line not in report.covered
    assert line in report.as_dict()["leads"][0]["covered"]
    told = {"torrent": torrent.hex(), "index": 0, "size": 700, "offset": 0, "checked": 0, "matching": 0}
    world.say(film, [{"name": "pieces.across", "text": json.dumps(told | {"pieces": [], "tried": []})}])
    assert "clew pieces" not in json.dumps(corroborate(world.case).as_dict())
