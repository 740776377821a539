"""Every Extractor: its benign examples come out as it says, and junk never raises anything but through its Traits."""

import importlib
import random

import pytest

from clew.core.absent import Absent
from clew.intake.api import EXACT, FAST, Blob, Probe
from clew.intake.reading import find
from clew.intake.tools import extractors
from clew.model import Missing

SPECS = extractors()
TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "text/plain", "application/octet-stream", "")


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_what_its_file_says(spec):
    plugin = find(spec)
    assert plugin.name
    assert plugin.version
    assert importlib.import_module(spec.partition(":")[0]).__doc__
    assert isinstance(plugin.wants("image/jpeg"), bool)


@pytest.mark.parametrize("spec", SPECS)
def test_its_examples_come_out_as_it_says(spec):
    plugin = find(spec)
    examples = list(plugin.examples())
    assert examples, "an extractor carries at least one benign example"
    for example in examples:
        assert plugin.wants(example.media_type), example.name
        probe = Probe(memoryview(example.data), len(example.data), example.media_type, FAST)
        found = dict(plugin.traits(probe))
        for name, value in example.expect.items():
            assert name in found, (example.name, name)
            assert value is None or found[name] == value, (example.name, name)
            assert value is not None or not isinstance(found[name], Missing), (example.name, name, found[name])


@pytest.mark.parametrize("mode", [FAST, EXACT])
@pytest.mark.parametrize("spec", SPECS)
def test_junk_is_a_missing_or_an_error_of_that_content(spec, mode):
    """An exception is welcome (the worker records it); what must not happen is a value of a type nobody can store."""
    plugin = find(spec)
    draw = random.Random(3)
    junk = [b"", b"\x00", draw.randbytes(4000), b"\xff\xd8\xff\xe0" + draw.randbytes(500), b"\x89PNG\r\n\x1a\n" * 9]
    for example in plugin.examples():
        junk += [example.data[: len(example.data) // 2], example.data + b"tail", example.data[::-1]]
        flipped = bytearray(example.data)
        for _ in range(20):
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        junk.append(bytes(flipped))
    for data in junk:
        for media_type in TYPES:
            if plugin.wants(media_type):
                try:
                    for name, value in plugin.traits(Probe(memoryview(data), len(data), media_type, mode)):
                        assert isinstance(name, str)
                        assert isinstance(value, str | int | float | bytes | Missing | Blob)
                except (Absent, ValueError, OSError, ArithmeticError, LookupError, TypeError, EOFError, SyntaxError):
                    continue


@pytest.mark.parametrize("spec", SPECS)
def test_what_was_only_streamed_is_a_missing(spec):
    plugin = find(spec)
    for example in plugin.examples():
        probe = Probe(None, 1 << 40, example.media_type, FAST)
        try:
            said = list(plugin.traits(probe))
        except Absent:
            continue
        assert said == [] or any(isinstance(value, Missing) for _, value in said)
