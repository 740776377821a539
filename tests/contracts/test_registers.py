"""Every register plug-in: its own examples hold, and junk is refused in words or answered with nothing."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.attribute.api import Answer
from clew.core import plugins
from clew.core.errors import ClewError

PACKAGE = "clew.attribute.registers"
JUNK = {"empty": b"", "noise": bytes(range(256)) * 40, "nul": bytes(5_000), "text": b"hello\nworld\n"}


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_its_examples_hold(name, tmp_path):
    plugin = plugins.load(PACKAGE, name)
    assert plugin.name == name
    assert plugin.what
    path, expected = plugin.example(tmp_path)
    register = plugin.open(path)
    assert expected
    for address, answer in expected.items():
        assert register.lookup(address) == answer, address
    assert any(answer.country for answer in expected.values())
    assert Answer() in expected.values(), "an example must show an address that is not in the register"
    assert register.dated_ns is None or register.dated_ns > 10**18


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_refused_in_words(name, junk, tmp_path):
    plugin = plugins.load(PACKAGE, name)
    path = tmp_path / "junk"
    path.write_bytes(JUNK[junk])
    with pytest.raises(ClewError) as caught:
        plugin.open(path)
    assert caught.value.hint


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_a_file_that_is_not_there(name, tmp_path):
    with pytest.raises(ClewError):
        plugins.load(PACKAGE, name).open(tmp_path / "nothing")


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
@pytest.mark.parametrize("address", ["", "999.1.1.1", "fe80::1%lo", "127.0.0.1\n", "::ffff:1.2.3.4/7"])
def test_what_is_no_address_is_not_found(name, address, tmp_path):
    plugin = plugins.load(PACKAGE, name)
    path, _ = plugin.example(tmp_path)
    assert plugin.open(path).lookup(address).country is None


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Each plug-in that reads a file, with the bytes of its example and the addresses in it."""
    made = (
        (plugin, plugin.example(tmp_path_factory.mktemp("register"))) for plugin in plugins.load_all(PACKAGE).values()
    )
    return [(plugin, path.read_bytes(), list(answers)) for plugin, (path, answers) in made if path is not None]


@settings(max_examples=300)
@given(st.data())
def test_damaged_in_any_way_it_is_refused_in_words_or_answers(examples, data):
    plugin, whole, addresses = data.draw(st.sampled_from(examples))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        some = data.draw(st.binary(max_size=8))
        damaged[at : at + data.draw(st.sampled_from((0, len(some), 40)))] = some
    descriptor = os.memfd_create("register")
    os.write(descriptor, damaged)
    with contextlib.suppress(ClewError):
        register = plugin.open(Path(f"/proc/self/fd/{descriptor}"))
        assert register.dated_ns is None or isinstance(register.dated_ns, int)
        assert all(isinstance(register.lookup(address), Answer) for address in addresses)
    os.close(descriptor)


def test_a_field_longer_than_csv_takes_is_refused_in_words(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("network,country\n198.51.100.0/24," + "A" * 200_000 + "\n", "utf-8")
    with pytest.raises(ClewError, match="no CSV"):
        plugins.load(PACKAGE, "prefixes").open(path)
