"""What is no artefact is not taken for one, and what is one and is not read is named."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from client_files import CORPUS

from artefacts_here import PLUGINS, rows
from clew.intake.api import Probe


@pytest.mark.corpus
def test_nothing_else_of_the_corpus_is_taken_for_an_artefact() -> None:
    clients = (".torrent", ".fastresume", ".resume", ".met", ".bak", ".session_state", "preferences.dat")
    known = (*clients, "settings.json", "qBittorrent.conf")
    for path in CORPUS.rglob("*"):
        if path.is_file() and path.stat().st_size < 5 << 20 and "bencode" not in path.parts:
            assert not rows(path.read_bytes()) or path.name.endswith(known), path


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "torrents.db")
    with closing(database), database:
        database.execute("CREATE TABLE `torrents` (`id` INTEGER PRIMARY KEY, `libtorrent_resume_data` BLOB NOT NULL)")
    found = rows((tmp_path / "torrents.db").read_bytes())
    assert [(row["name"], row["text"]) for row in found] == [("p2p.unread", "qBittorrent's torrents.db")]
    assert rows(b"\x80\x04\x95\x30\x00\x00\x00\x00\x00\x00\x00\x8c\x1adeluge.core.torrentmanager\x94.")[0]["text"] == (
        "Deluge's torrents.state"
    )


@pytest.mark.parametrize("example", list(PLUGINS["unread"].examples()), ids=lambda example: example.name)
def test_what_is_named_as_not_read_is_nothing_else(example) -> None:
    assert [row["name"] for row in rows(example.data)] == ["p2p.unread"]


def test_a_large_content_that_is_no_artefact_is_told_by_its_first_bytes_read_once() -> None:
    class Film:
        size, bad = 10**12, ()

        def __init__(self) -> None:
            self.reads = 0

        def read(self, offset: int, length: int) -> bytes:
            self.reads += 1
            return b"\x00\x00\x00\x20ftypisom"[offset:][:length]

    film = Film()
    probe = Probe(None, film.size, "video/mp4", source=film)
    assert [trait for plugin in PLUGINS.values() for trait in plugin.traits(probe)] == []
    assert film.reads == 1
