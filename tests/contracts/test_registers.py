"""Every register plug-in: its own examples hold, and junk is refused in words or answered with nothing."""

import pytest

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
