"""Several exiftools side by side: each answer is that of its own picture, whatever another one of them does to it."""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiffs
from PIL import Image
from test_exif import MAKERS
from test_exiftool_pass import olympus
from tiffs import ASCII, Ifd

from clew.core import external
from clew.core.errors import Refused
from clew.core.external import Ran
from clew.intake import exiftool_runs
from clew.intake.exiftool_runs import Runs, Tags, answer
from clew.model import Missing, Reason

EXIFTOOL = external.installed("exiftool")
CARD = Image.new("L", (64, 48), 90)
# Has the bytes of a picture as its serial number, or does what those say.
STAND_IN = r"""#!/usr/bin/perl
$| = 1;
local $/; my $bytes = <STDIN>;
my $answer = qq([{"SourceFile": "-", "SerialNumber": "$bytes"}]\n);
exit 9 if $bytes =~ /DIE/;
sleep 1000 if $bytes =~ /HANG/;
if ($bytes =~ /LOUD/) { print "x" x 65536 for 1..200 }
if ($bytes =~ /LATE/) { print $answer; sleep 1000 }
if ($bytes =~ /SILENT/) { print $answer; close(STDOUT); sleep 1000 }
if ($bytes =~ /BROKEN/) { $answer = qq([{"SourceFile": "-", "Serial) }
if ($bytes =~ /NOTHING/) { $answer = "" }
if ($bytes =~ /WARN/) { print STDERR "Warning: $bytes\n" x 100 }
print $answer;
"""
TROUBLE = {
    "DIE": Reason.UNPARSABLE, "HANG": Reason.LIMIT_REACHED, "LOUD": Reason.LIMIT_REACHED,
    "LATE": Reason.LIMIT_REACHED, "SILENT": Reason.LIMIT_REACHED, "BROKEN": Reason.UNPARSABLE,
    "NOTHING": Reason.UNPARSABLE,
}  # fmt: skip
Ask = Callable[..., dict[str, Tags | Missing]]
Said = dict[str, Tags | Missing]


def all_of(program: str, pictures: dict[str, bytes], most: int) -> Said:
    found: list[tuple[bytes, Tags | Missing]] = []
    with Runs(program, most, accept_weak=False) as runs:
        for name, data in pictures.items():
            runs.give(name.encode(), data)
            found += runs.answers(lambda: None, over=False)
            assert len(runs._going) <= most
            assert not runs._waiting, "few lie in memory at once"
        found += runs.answers(lambda: None, over=True)
    assert len(found) == len(pictures), "each has one answer"
    return {content.decode(): said for content, said in found}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Asks the stand-in. It lies where the unprivileged user may read it."""
    monkeypatch.setattr(exiftool_runs, "SECONDS", 5.0)
    monkeypatch.setattr(external, "ENDING", 1.0)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "exiftool"
        program.write_text(STAND_IN)
        program.chmod(0o755)
        yield lambda pictures, most=1: all_of(str(program), {each: each.encode() for each in pictures}, most)


def own(name: str) -> Tags:
    return {"SerialNumber": name}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("most", [1, 3])
def test_the_one_that_gives_trouble_costs_itself(ask: Ask, trouble: str, most: int) -> None:
    said = ask(["S0", "S1", trouble, "S2", "WARN", "S3"], most)
    missing = said.pop(trouble)
    assert isinstance(missing, Missing)
    assert missing.reason is TROUBLE[trouble]
    assert said == {name: own(name) for name in said}


def test_a_launcher_that_dies_early_costs_one_picture(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it says how it is isolated."""
    inner, asked = external._asked, iter([b"no JSON"])
    monkeypatch.setattr(external, "_asked", lambda *what: next(asked, None) or inner(*what))
    said = ask(["S0", "S1", "S2"])
    missing = said.pop("S0")
    assert isinstance(missing, Missing)
    assert missing.reason is Reason.REFUSED
    assert said == {name: own(name) for name in said}


def test_an_answer_is_of_one_picture() -> None:
    assert answer(Ran(b'[{"SourceFile": "-", "SerialNumber": "A"}]', 0)) == own("A")
    assert answer(Ran(b'[{"SourceFile": "-", "SerialNumber": ["A"], "Other": 7}]', 1)) == {}
    gone = Missing(Reason.LIMIT_REACHED, "the program took too long")
    assert answer(gone) == gone
    for wrong in (b'[{"SerialNumber": "A"}, {"SerialNumber": "B"}]', b"[]", b"", b"7", b"[7]", b'{"a": 7}', b"\xff"):
        said = answer(Ran(wrong, 1))
        assert isinstance(said, Missing)
        assert said.reason is Reason.UNPARSABLE


def test_several_go_on_side_by_side_and_none_outlives_its_manager() -> None:
    assert EXIFTOOL
    with Runs(EXIFTOOL, 3, accept_weak=False) as runs:
        for number in range(9):
            runs.give(b"%d" % number, olympus())
        next(iter(runs.answers(lambda: None, over=True)))
        going = list(runs._going)
    assert going
    assert all(each._process.returncode is not None for each in going)


def test_what_is_waited_for_is_let_go_where_the_mandate_ends() -> None:
    assert EXIFTOOL

    def ended() -> None:
        raise Refused("the mandate has ended", "ask for another")

    with Runs(EXIFTOOL, 1, accept_weak=False) as runs:
        runs.give(b"1", olympus())
        with pytest.raises(Refused):
            list(runs.answers(ended, over=True))


def test_exiftool_itself_is_told_apart() -> None:
    """Serial numbers that differ, no picture, an empty one, one whose note breaks off, one without a note."""
    assert EXIFTOOL
    odd = {"junk": b"no picture", "empty": b"", "cut": olympus("E7")[:160], "plain": tiffs.jpeg(CARD)}
    pictures = {"E0": olympus("E0"), **odd, **{f"E{number}": olympus(f"E{number}") for number in range(1, 12)}}
    assert all_of(EXIFTOOL, pictures, 2) == {name: {} if name in odd else own(name) for name in pictures}


def unnamed(text: str) -> bytes:
    """A tag without a name: exiftool takes one out of its text, and keeps that in its table of tags."""
    return tiffs.jpeg(CARD, tiffs.tiff(Ifd({0xFF00: (ASCII, text)})))


def described(about: str) -> bytes:
    space = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:foo="http://foo.example/1/"'
    told = f'<rdf:Description rdf:about="" {space}>{about}</rdf:Description>'
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {space}>{told}</rdf:RDF></x:xmpmeta>'
    return tiffs.jpeg(CARD, xmp=xmp.encode())


TAUGHT = {
    "unnamed": (unnamed("SerialNumber: A-1"), unnamed("quite another 55")),
    "property": (
        described("<foo:SerialNumber>C-4</foo:SerialNumber>"),
        described('<foo:SerialNumber><rdf:Alt><rdf:li xml:lang="de">D-5</rdf:li></rdf:Alt></foo:SerialNumber>'),
    ),
}


@pytest.mark.parametrize("pair", TAUGHT)
@pytest.mark.parametrize("most", [1, 2])
def test_what_one_picture_teaches_exiftool_is_not_said_of_another(pair: str, most: int) -> None:
    assert EXIFTOOL
    pictures = dict(zip("AB", TAUGHT[pair], strict=True))
    alone = {name: all_of(EXIFTOOL, {name: data}, 1)[name] for name, data in pictures.items()}
    assert (bool(alone["A"]), alone["B"]) == (True, {})
    for order in ("AB", "BA"):
        assert all_of(EXIFTOOL, {name: pictures[name] for name in order}, most) == alone


def test_the_answers_are_the_same_in_any_order() -> None:
    """Notes of several makers, some of them damaged."""
    assert EXIFTOOL
    chosen = random.Random(11)
    whole = [*(data for data, _ in MAKERS.values()), olympus("E42"), olympus("SR951", 0x0207)]
    pictures = list(whole)
    for data in (chosen.choice(whole) for _ in range(12)):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[chosen.randrange(20, min(300, len(damaged)))] = chosen.randrange(256)
        pictures.append(bytes(damaged))
    named = {str(number): data for number, data in enumerate(pictures)}
    together = all_of(EXIFTOOL, named, 2)
    assert sum(bool(tags) for tags in together.values()) > len(whole) // 2
    assert all_of(EXIFTOOL, {name: named[name] for name in chosen.sample(sorted(named), len(named))}, 1) == together
