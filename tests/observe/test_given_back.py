"""A conversation that is over is given back at once: those of days must not wait for the collector of cycles."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from clew.observe.api import Example
from clew.observe.networks.bittorrent import PLUGIN
from example_talk import begin, heard


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("example", PLUGIN.examples, ids=lambda each: f"{each.transport} {each.name}")
def test_nothing_of_it_is_left(example: Example) -> None:
    talk = begin(PLUGIN, example)
    talk.opened(1)
    for at, data in enumerate(heard(example), 2):
        talk.receive(data, at)
    talk.closed(1_000)
    gone = weakref.ref(talk)
    del talk
    assert gone() is None, "it refers to itself"
