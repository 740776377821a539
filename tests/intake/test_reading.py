"""One content in a worker: its hashes, its type, its traits, each said before the next can fail."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import nasty_extractor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import channel
from clew.core.absent import Absent
from clew.intake import reading, said
from clew.intake.api import Blob
from clew.intake.reading import examine
from clew.intake.sources.folder import file
from clew.model import ContentState, Missing, Reason

PAYLOAD = {"size": 6, "state": "complete", "extractors": [], "mode": "fast"}


class Chunks:
    """A ByteSource that gives the same pieces at every reading."""

    def __init__(self, *chunks: bytes, bad: tuple[tuple[int, int], ...] = ()) -> None:
        self._chunks, self.size, self.bad = chunks, sum(map(len, chunks)), list(bad)

    def read(self, offset: int, length: int) -> bytes:
        for chunk in self._chunks:
            if offset < len(chunk):
                return chunk[offset : offset + length]
            offset -= len(chunk)
        return b""


def told(chunks: list[bytes], **payload: object) -> list[dict]:
    return [reply.value for reply in examine(Chunks(*chunks), {**PAYLOAD, **payload})]


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6))
def test_the_three_hashes_are_of_all_chunks_in_order(chunks):
    whole = b"".join(chunks)
    content = told(chunks, size=len(whole))[0]["content"]
    for name in ("sha256", "sha1", "md5"):
        assert content[name] == hashlib.new(name, whole).hexdigest()
    assert content["size"] == len(whole)


def test_what_is_shorter_than_listed_is_partial_and_no_weaker_claim_is_raised():
    assert told([b"abcdef"])[0]["content"]["state"] == ContentState.COMPLETE
    assert told([b"abc"], state="partial")[0]["content"]["state"] == ContentState.PARTIAL
    for claimed, state in (("complete", "partial"), ("overwritten possible", "overwritten possible")):
        replies = examine(Chunks(b"abc"), {**PAYLOAD, "state": claimed})
        assert next(replies).value["content"]["state"] == state
        with pytest.raises(Absent, match="only 3 of the 6 bytes"):
            list(replies)


def test_too_large_to_hold_is_not_held_and_hashed_all_the_same(monkeypatch):
    seen = []
    monkeypatch.setattr(
        nasty_extractor.PLUGIN, "traits", lambda probe: iter([("held", seen.append(probe.data) or 1)]), raising=False
    )
    for hold in (5, 6):
        answers = told([b"abc", b"def"], extractors=["nasty_extractor:PLUGIN"], hold=hold)
        content = answers[0 if hold == 6 else -1]["content"]
        assert content["sha256"] == hashlib.sha256(b"abcdef").hexdigest()
    assert seen[0] is None
    assert bytes(seen[1]) == b"abcdef"


def test_a_read_error_is_absent_with_the_place(tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY)  # a directory: reading it fails as a bad sector would
    try:
        with pytest.raises(Absent) as absent:
            file({}, [descriptor]).read(0, 100)
    finally:
        os.close(descriptor)
    assert absent.value.missing.reason is Reason.UNREADABLE
    assert "byte 0" in absent.value.missing.detail


def test_zeros_that_stand_for_what_could_not_be_read_are_never_silent():
    """The hashes come, as of a partial content, so that the same damage is known again; then the Item is unreadable."""
    replies = examine(Chunks(bytes(6), bad=((512, 6),)), PAYLOAD)
    assert next(replies).value["content"]["state"] == ContentState.PARTIAL
    assert "type" in next(replies).value
    with pytest.raises(Absent, match="6 at 512") as absent:
        next(replies)
    assert absent.value.missing.reason is Reason.UNREADABLE


VALUES = (
    st.text(max_size=5000)
    | st.integers()
    | st.floats()
    | st.binary(max_size=9000)
    | st.builds(Missing, st.sampled_from(Reason), st.text(max_size=20))
    | st.builds(Blob, st.binary(max_size=20))
)


def said_by(traits):
    """The replies about an extractor that says these traits."""

    class Says:
        name = "says"
        version = "1"

        def wants(self, _media_type: str) -> bool:
            return True

        def traits(self, _probe: object) -> Iterator[object]:
            return iter(traits)

    nasty_extractor.says = Says()
    return list(examine(Chunks(b"abcdef"), {**PAYLOAD, "extractors": ["nasty_extractor:says"]}))[2:]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), VALUES), max_size=6))
def test_whatever_an_extractor_yields_the_parent_can_store_it(values):
    replies = said_by(values)
    assert len(replies) == bool(values)
    rows = [row for reply in replies for row in said.traits(reply.value, reply.blobs, _sha256)]
    long = {name for name, value in values if isinstance(value, str) and len(value) > reading.MOST_TEXT}
    assert [row["name"] for row in rows if row["name"].removesuffix(".cut") not in long] == [
        name for name, _ in values if name not in long
    ]
    for row in rows:
        assert sum(row[column] is not None for column in ("text", "number", "integer", "data", "missing")) == 1


def test_a_text_that_is_cut_says_so():
    replies = said_by([("whole", "a" * 4096), ("video.title", "b" * 4097)])
    rows = [row for reply in replies for row in said.traits(reply.value, reply.blobs, _sha256)]
    assert [(row["name"], row["text"], row["missing"], row["detail"]) for row in rows] == [
        ("whole", "a" * 4096, None, None),
        ("video.title", "b" * 4096, None, None),
        ("video.title.cut", None, "limit reached", "the first 4,096 of 4,097 characters"),
    ]


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_long_texts_of_any_script_fit_the_pipe():
    replies = said_by(("p2p.entry.files", "\N{GRINNING FACE}" * 4096) for _ in range(2_000))
    assert sum(len(reply.value["traits"]) for reply in replies) == 2_000
    assert all(len(channel.encode([reply.value])) < channel.MOST_TEXT for reply in replies)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JUNK)
def test_what_a_hostile_worker_says_is_refused_and_not_stored(junk):
    for check in (said.content, said.media_type, lambda value: said.traits(value, (), bytes)):
        try:
            check(junk)
        except said.WRONG:
            continue
        assert check is said.media_type
        assert isinstance(junk, str)
