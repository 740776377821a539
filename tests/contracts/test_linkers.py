"""Every linker: its own example comes out, twice the same, and nothing makes nothing."""

import numpy as np
import pytest

from clew.core import plugins
from clew.core.pictures import Pictures

PACKAGE = "clew.identify.linkers"


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_its_example_comes_out(name):
    plugin = plugins.load(PACKAGE, name)
    pictures, expected = plugin.example()
    assert plugin.name == name
    assert plugin.what
    assert expected
    for _ in range(2):
        assert sorted((n.centre, n.member, n.distance) for n in plugin.link(pictures)) == expected


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_links_keep_the_contract(name):
    plugin = plugins.load(PACKAGE, name)
    links = list(plugin.link(plugin.example()[0]))
    assert not {n.centre for n in links} & {n.member for n in links}, "a centre is a member"
    assert len({(n.centre, n.member) for n in links}) == len(links)
    assert all(0 <= n.score <= 1 and n.detail for n in links)


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_no_pictures_no_links(name):
    none = np.zeros(0, np.int64)
    empty = Pictures(
        np.zeros((0, 32), np.uint8),
        np.zeros((0, 32), np.uint8),
        none.astype(bool),
        none,
        none,
        none,
        none.astype(bool),
        {},
    )
    assert list(plugins.load(PACKAGE, name).link(empty)) == []
