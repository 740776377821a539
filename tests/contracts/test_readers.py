"""Every reader of known hashes: its own example comes out as it says, and junk costs nothing but itself."""

import io

import pytest

from clew.core import plugins
from clew.core.errors import ClewError
from clew.match.api import ALGORITHMS, OF_NOTHING, Dropped, Entry

PACKAGE = "clew.match.readers"
JUNK = {
    "empty": b"",
    "noise": bytes(range(256)) * 40,
    "text": b"hello\nworld\n",
    "nested": b"[" * 500_000,
    "nul": bytes(5_000),
}


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_its_example_comes_out(name):
    plugin = plugins.load(PACKAGE, name)
    data, kind, expected = plugin.example()
    assert plugin.name == name
    assert plugin.recognises(data[:65_536])
    assert list(plugin.read(io.BytesIO(data), kind)) == expected
    entries = [e for e in expected if isinstance(e, Entry)]
    assert entries
    assert any(isinstance(e, Dropped) and "zero bytes" in e.reason for e in expected), (
        "show that empty files are dropped"
    )
    for entry in entries:
        assert entry.hashes
        assert all(len(value) == ALGORITHMS[algorithm] for algorithm, value in entry.hashes.items())
        assert not OF_NOTHING & set(entry.hashes.values())


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_it_recognises_no_other_readers_example(name):
    plugin = plugins.load(PACKAGE, name)
    others = [p.example()[0] for n, p in plugins.load_all(PACKAGE).items() if n != name]
    assert not any(plugin.recognises(data) for data in others)


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
@pytest.mark.parametrize("junk", JUNK)
def test_junk_gives_no_entry_and_no_traceback(name, junk):
    plugin = plugins.load(PACKAGE, name)
    _, kind, _ = plugin.example()
    assert not plugin.recognises(JUNK[junk])
    found, hint = [], "none was needed"
    try:
        found = list(plugin.read(io.BytesIO(JUNK[junk]), kind))
    except ClewError as refusal:
        hint = refusal.hint
    assert hint
    assert found == []


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_a_file_cut_anywhere_gives_a_beginning_or_a_refusal(name):
    plugin = plugins.load(PACKAGE, name)
    data, kind, expected = plugin.example()
    for end in range(0, len(data), 7):
        stream = io.BytesIO(data[:end])
        found = []
        try:
            found.extend(plugin.read(stream, kind))
        except ClewError:
            continue
        assert len(found) <= len(expected)
