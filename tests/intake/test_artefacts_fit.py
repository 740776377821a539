"""An entry fits its traits, whatever it holds: long lists are told in parts, and what was cut of a text is said."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from artefacts_here import listed, rows
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts._entry import MOST_TEXT, Entry


def test_a_torrent_of_many_files_is_listed_whole() -> None:
    files = [{"length": n, "path": [f"folder {n % 7}", f"{n}.bin"]} for n in range(20_000)]
    size = sum(range(20_000))
    info = {"files": files, "name": "many", "piece length": 1 << 20, "pieces": bytes(20 * -(-size // (1 << 20)))}
    found = rows(made.bencode({"info": info}))
    assert [each["size"] for each in listed(found, "files")] == list(range(20_000))
    assert all(len(row.get("text", "")) <= MOST_TEXT for row in found)


TEXTS = st.text(max_size=3000) | st.binary(max_size=3000).map(lambda raw: raw.decode("utf-8", "backslashreplace"))


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.lists(st.integers(-(1 << 70), 1 << 70), min_size=12, max_size=12))
def test_an_entry_always_fits_a_trait_and_says_what_was_cut(name, path, client, numbers) -> None:
    entry = Entry("bittorrent", client, "test", slice(0, 10**9))
    entry.say_text("name", name, slice(0, 10**9))
    entry.say_text("save_path", path, slice(0, 10**9))
    for n, (field, value) in enumerate(zip(["added_s", "completed_s", "active_s", "last_upload_s", "last_download_s",
                                            "last_seen_s"], numbers, strict=False)):  # fmt: skip
        entry.take_time(field, {0: (value, slice(n, 10**9))}, 0)
    for field, value in zip(["uploaded", "downloaded", "size"], numbers[6:], strict=False):
        entry.take_count(field, {0: (value, slice(0, 10**9))}, 0)
    for field, length in (("infohash_v1", 20), ("infohash_v2", 32)):
        entry.take_hash(field, {0: (b"\xff" * length, slice(0, 10**9))}, 0, length)
    found = list(entry.traits())
    text = found[0][1]
    assert len(text) <= MOST_TEXT
    said = json.loads(text)
    assert (said["name"] == name and said["save_path"] == path and said["client"] == client) == (len(found) == 1)
