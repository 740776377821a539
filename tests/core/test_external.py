"""Programs of others: they answer on the bytes they are given, and can do nothing else. perl stands for any of them."""

import shutil

import pytest

from clew.core import external
from clew.core.external import Ran
from clew.core.launch import WEAK
from clew.core.sandbox import LAYERS
from clew.model import Missing, Reason

PERL = shutil.which("perl") or "/usr/bin/perl"
# Each dies with the error's name as its answer; "done" is what a layer that is not there would print.
FORBIDDEN = {
    "read a file": 'open(F, "<", "/etc/passwd") or print $!+0; print "done" if fileno(F)',
    "list a folder": 'opendir(D, "/etc") and print "done" or print $!+0',
    "write a file": 'open(F, ">", "/tmp/written") and print "done" or print $!+0',
    "run another": 'exec("/bin/cat", "/etc/passwd") or print $!+0',
    "give birth": 'my $p = fork; print defined $p ? "done" : $!+0',
    "reach the network": "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) and print 'done' or print $!+0",
    "end another": "kill(9, getppid) and print 'done' or print $!+0",
}
EPERM, EACCES = b"1", b"13"


def perl(code: str, data: bytes = b"", **options: object) -> Ran | Missing:
    return external.run([PERL, "-e", code], data, runnable=(), **options)


def test_it_answers_on_its_input_and_says_how_it_was_held() -> None:
    ran = perl("binmode STDIN; local $/; print length(<STDIN>); exit 7", b"\x00" * 100_000)
    assert isinstance(ran, Ran)
    assert (ran.output, ran.status) == (b"100000", 7)
    assert set(ran.isolation) == set(LAYERS)
    assert all(layer["reached"] for layer in ran.isolation.values()), ran.isolation


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_cannot(what: str) -> None:
    ran = perl(FORBIDDEN[what])
    assert isinstance(ran, Ran)
    assert ran.output in (EPERM, EACCES), ran


def test_its_input_cannot_be_written_to() -> None:
    ran = perl('open(F, "+<&", 0); print syswrite(F, "x") ? "done" : $!+0')
    assert isinstance(ran, Ran)
    assert b"done" not in ran.output


def test_time_and_output_have_bounds() -> None:
    slow = perl("sleep 60", seconds=1.0)
    assert isinstance(slow, Missing)
    assert slow.reason is Reason.LIMIT_REACHED
    long = perl('print "x" x 65536 for 1..200')
    assert isinstance(long, Missing)
    assert "more than" in long.detail


def test_weak_isolation_is_refused_unless_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path too long to be opened for a rule stands for a kernel without Landlock."""
    monkeypatch.setattr(external, "SYSTEM", ("/x" * 4096,))
    refused = perl("print 1")
    assert isinstance(refused, Missing)
    assert refused.reason is Reason.REFUSED
    assert "landlock" in refused.detail
    assert perl("print 1", accept_weak=True).output == b"1"


def test_an_exit_status_of_its_own_is_no_weak_isolation() -> None:
    ran = perl(f"exit {WEAK}")
    assert isinstance(ran, Ran)
    assert (ran.output, ran.status) == (b"", WEAK)


def test_what_says_no_more_and_does_not_end_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "ENDING", 0.5)
    silent = perl("print 1; close(STDOUT); sleep 60")
    assert isinstance(silent, Missing)
    assert "too long" in silent.detail


def test_what_is_not_installed_is_said() -> None:
    assert external.installed("no-such-program-anywhere") is None
    assert external.installed("perl")
