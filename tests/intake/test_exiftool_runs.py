"""Many pictures to one exiftool: each answer is that of its own picture, whatever another one of them does to it."""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiffs
from PIL import Image
from test_exif import MAKERS
from test_exiftool_pass import olympus

from clew.core import external
from clew.core.errors import Refused
from clew.intake import exiftool_run, exiftool_runs
from clew.intake.exiftool_run import Run, Tags, answer
from clew.intake.exiftool_runs import Runs
from clew.model import Missing, Reason

EXIFTOOL = external.installed("exiftool")
# Takes commands as exiftool does and has the bytes of a picture as its serial number, or does what those say.
STAND_IN = r"""#!/usr/bin/perl
$| = 1;
my ($path, $last, %said) = ("", "");
while (my $line = <STDIN>) {
  chomp $line;
  $path = $line if $line =~ m{^/proc/};
  exit 0 if $line eq "False";
  next unless $line =~ /^-execute(\d+)$/;
  my $number = $1;
  open(F, "<", $path) or die; local $/; my $bytes = <F>; $/ = "\n";
  my $answer = qq([{"SourceFile": "$path", "SerialNumber": "$bytes"}]\n);
  exit 9 if $bytes =~ /DIE/;
  sleep 1000 if $bytes =~ /HANG/;
  if ($bytes =~ /LOUD/) { print "x" x 65536 for 1..200 }
  if ($bytes =~ /LATE/) { print $answer; sleep 1000 }
  if ($bytes =~ /BROKEN/) { $answer = qq([{"SourceFile": "$path", "Serial) }
  if ($bytes =~ /NOTHING/) { $answer = "" }
  if ($bytes =~ /WARN/) { print STDERR "Warning: $bytes\n" x 100 }
  if ($bytes =~ /OTHER/) { $answer = $last }
  if ($bytes =~ /TWICE/) { $answer = "$last$answer" }
  if ($bytes =~ /SKIP/) { next }
  if ($bytes =~ /EARLY/) { print "${answer}{ready$number}\n" }
  $last = $answer;
  print "$answer\{ready$number}\n";
}
"""
TROUBLE = {
    "DIE": Reason.UNPARSABLE, "HANG": Reason.LIMIT_REACHED, "LOUD": Reason.LIMIT_REACHED,
    "LATE": Reason.LIMIT_REACHED, "BROKEN": Reason.UNPARSABLE, "NOTHING": Reason.UNPARSABLE, "SKIP": Reason.UNPARSABLE,
}  # fmt: skip
Ask = Callable[..., dict[str, Tags | Missing]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Asks the stand-in. It lies where the unprivileged user may read it."""
    monkeypatch.setattr(exiftool_run, "SECONDS_ALONE", 3.0)
    monkeypatch.setattr(exiftool_run, "SECONDS_EACH", 2.0)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "exiftool"
        program.write_text(STAND_IN)
        program.chmod(0o755)

        def asked(pictures: list[str], most: int = 1) -> dict[str, Tags | Missing]:
            with Runs(str(program), most, accept_weak=False) as runs:
                found: list[tuple[bytes, Tags | Missing]] = []
                for each in pictures:
                    runs.give(each.encode(), each.encode())
                    found += runs.answers(lambda: None, over=False)
                found += runs.answers(lambda: None, over=True)
            assert len(found) == len(pictures), "each has one answer"
            assert all(layer["reached"] for layer in runs.isolation.values())
            return {content.decode(): said for content, said in found}

        yield asked


def own(name: str) -> Tags:
    return {"SerialNumber": name}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_one_that_gives_trouble_is_named_and_costs_itself(ask: Ask, trouble: str) -> None:
    pictures = [f"S{number}" for number in range(12)]
    pictures.insert(5, trouble)
    said = ask(pictures)
    missing = said.pop(trouble)
    assert isinstance(missing, Missing)
    assert missing.reason is TROUBLE[trouble]
    assert said == {name: own(name) for name in said}


def test_what_says_nothing_wrong_is_believed(ask: Ask) -> None:
    """A warning; an answer whose end comes twice; and, alone, one that has no other's words to repeat."""
    pictures = ["S0", "WARN", "S1", "EARLY", "S2", "TWICE", "S3"]
    assert ask(pictures) == {name: own(name) for name in pictures}


def test_the_words_of_another_are_no_answer(ask: Ask) -> None:
    said = ask(["S0", "OTHER", "S1"])
    assert isinstance(said["OTHER"], Missing)
    assert (said["S0"], said["S1"]) == (own("S0"), own("S1"))


def test_an_answer_names_its_picture_and_no_other() -> None:
    path = "/proc/self/fd/7"
    assert answer(b'[{"SourceFile": "/proc/self/fd/7", "SerialNumber": "A"}]', path) == own("A")
    assert answer(b'[{"SourceFile": "/proc/self/fd/7"}]', path) == {}
    for wrong in (
        b'[{"SourceFile": "/proc/self/fd/70", "SerialNumber": "A"}]',
        b'[{"SourceFile": "/proc/self/fd/7"}, {"SourceFile": "/proc/self/fd/8", "SerialNumber": "A"}]',
        b'[{"SerialNumber": "A"}]', b"[]", b"", b"7", b"[7]", b'{"SourceFile": 7}', b"\xff",
    ):  # fmt: skip
        assert answer(wrong, path) is None


@pytest.mark.parametrize("most", [1, 3])
def test_no_answer_goes_astray(ask: Ask, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Runs of several sizes side by side, trouble in many of them."""
    monkeypatch.setattr(exiftool_runs, "MOST", 7)
    chosen = random.Random(5)
    pictures = [f"S{number}" for number in range(80)]
    for number, trouble in enumerate(("DIE", "NOTHING", "OTHER", "SKIP", "BROKEN") * 3):
        pictures.insert(chosen.randrange(len(pictures)), f"{trouble}-{number}")
    said = ask(pictures, most)
    for name, found in said.items():
        assert (found == own(name)) if name.startswith("S") and "SKIP" not in name else isinstance(found, Missing), name


def test_several_go_on_side_by_side_and_none_outlives_its_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EXIFTOOL
    monkeypatch.setattr(exiftool_runs, "MOST", 2)
    with Runs(EXIFTOOL, 3, accept_weak=False) as runs:
        for number in range(9):
            runs.give(b"%d" % number, olympus())
        next(iter(runs.answers(lambda: None, over=True)))
        going = [run.running for run in runs._going]
    assert going
    assert all(each._process.returncode is not None for each in going)


def test_what_is_waited_for_is_let_go_where_the_mandate_ends(ask: Ask) -> None:
    assert EXIFTOOL

    def ended() -> None:
        raise Refused("the mandate has ended", "ask for another")

    with Runs(EXIFTOOL, 1, accept_weak=False) as runs:
        runs.give(b"1", olympus())
        with pytest.raises(Refused):
            list(runs.answers(ended, over=True))


def test_little_lies_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EXIFTOOL
    made: list[int] = []
    inner = Run.__init__

    def counted(self: Run, program: str, pictures: list[tuple[bytes, bytes]], accept_weak: bool) -> None:
        made.append(sum(len(data) for _, data in pictures))
        inner(self, program, pictures, accept_weak)

    monkeypatch.setattr(exiftool_runs, "MOST_BYTES", 100_000)
    monkeypatch.setattr(Run, "__init__", counted)
    with Runs(EXIFTOOL, 1, accept_weak=False) as runs:
        found = []
        for number in range(7):
            runs.give(b"%d" % number, olympus().ljust(40_000, b"\x00"))
            found += runs.answers(lambda: None, over=False)
        runs.give(b"large", olympus().ljust(400_000, b"\x00"))
        found += runs.answers(lambda: None, over=True)
    assert len(found) == 8
    assert [size for size in made if size > 100_000] == [400_000]


def serial(number: int) -> bytes:
    return olympus(f"E{number}")


def test_exiftool_itself_is_told_apart() -> None:
    """Serial numbers that differ, no picture, an empty one, one whose note breaks off, one without a note."""
    assert EXIFTOOL
    odd = {"junk": b"no picture", "empty": b"", "cut": serial(7)[:160], "plain": tiffs.jpeg(Image.new("L", (8, 8)))}
    pictures = {f"E{number}": serial(number) for number in range(20)}
    pictures = {**dict(list(pictures.items())[:9]), **odd, **dict(list(pictures.items())[9:])}
    with Runs(EXIFTOOL, 1, accept_weak=False) as runs:
        for name, data in pictures.items():
            runs.give(name.encode(), data)
        said = {content.decode(): tags for content, tags in runs.answers(lambda: None, over=True)}
    assert said == {name: {} if name in odd else own(name) for name in pictures}


def test_nothing_of_a_picture_stays_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of several makers, some of them damaged, in two orders in one process: what each says alone."""
    assert EXIFTOOL
    chosen = random.Random(11)
    whole = [*(data for data, _ in MAKERS.values()), olympus("E42"), olympus("SR951", 0x0207)]
    pictures = list(whole)
    for data in (chosen.choice(whole) for _ in range(24)):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[chosen.randrange(20, min(300, len(damaged)))] = chosen.randrange(256)
        pictures.append(bytes(damaged))

    def asked(order: list[int]) -> dict[bytes, Tags | Missing]:
        with Runs(str(EXIFTOOL), 2, accept_weak=False) as runs:
            for number in order:
                runs.give(b"%d" % number, pictures[number])
            return dict(runs.answers(lambda: None, over=True))

    numbers = list(range(len(pictures)))
    together = asked(numbers)
    assert sum(bool(tags) for tags in together.values()) > len(whole) // 2
    assert asked(chosen.sample(numbers, len(numbers))) == together
    monkeypatch.setattr(exiftool_runs, "MOST", 1)
    assert asked(numbers) == together
