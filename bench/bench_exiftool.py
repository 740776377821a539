"""What exiftool is asked of pictures whose maker note clew does not read: side by side, against one after the other.

Photographs by code (12 megapixels), each with EXIF and a maker note that has a serial number of its own. Both ways go
through the same locked runs of `clew.intake.exiftool_runs`, in turn, round by round, and must give the same answers;
the best round of each counts. CPU is that of clew's process and of all that it starts.
"""

import argparse
import os
import resource
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

from _claims import Claim, run
from bench_pdq import photograph
from clew.core import external
from clew.intake.exiftool_runs import Runs, Tags
from clew.model import Missing

Answers = dict[bytes, Tags | Missing]


@dataclass(frozen=True)
class Took:
    """Milliseconds a picture."""

    wall: float
    cpu: float


def noted(picture: bytes, serial: bytes) -> bytes:
    """The JPEG with EXIF that has an old Olympus maker note: one field, the serial number (13 digits)."""
    make, value = b"OLYMPUS OPTICAL CO.,LTD\x00", serial + b"\x00"
    inner = 8 + 2 + 2 * 12 + 4  # where the EXIF directory lies
    behind = inner + 2 + 12 + 4
    at = behind + len(make)  # of the note
    note = b"OLYMP\x00\x01\x00" + struct.pack(">HHHIII", 1, 0x0404, 2, len(value), at + 8 + 2 + 12 + 4, 0) + value
    block = b"MM\x00\x2a" + struct.pack(">I", 8)
    block += struct.pack(">H2HII2HIII", 2, 0x010F, 2, len(make), behind, 0x8769, 4, 1, inner, 0)
    block += struct.pack(">HHHIII", 1, 0x927C, 7, len(note), at, 0) + make + note
    exif = b"Exif\x00\x00" + block
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + picture[2:]


def asked(picture: bytes, count: int, workers: int) -> tuple[Took, Answers]:
    """Asks about so many, with so many runs side by side."""
    program = external.installed("exiftool")
    if program is None:
        raise SystemExit("exiftool is not installed")
    answers: Answers = {}
    before, began = cpu(), time.monotonic()
    with Runs(program, workers, accept_weak=False) as runs:
        for number in range(count):
            serial = b"%013d" % number
            runs.give(serial, noted(picture, serial))
            answers.update(runs.answers(lambda: None, over=False))
        answers.update(runs.answers(lambda: None, over=True))
    return Took(1000 * (time.monotonic() - began) / count, 1000 * (cpu() - before) / count), answers


def cpu() -> float:
    """Seconds of this process and of the children that it waited for."""
    used = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    picture, count = photograph(options.seed), options.count
    command = f"python bench/bench_exiftool.py --count {count} --rounds {options.rounds} --workers {options.workers}"
    wanted = {b"%013d" % number: {"SerialNumber": f"{number:013d}"} for number in range(count)}
    found: dict[int, list[Took]] = {1: [], options.workers: []}
    for _ in range(options.rounds):
        for workers, rounds in found.items():
            took, answers = asked(picture, count, workers)
            if answers != wanted:
                raise SystemExit("an answer is not that of its picture")
            rounds.append(took)
    alone, beside = (min(rounds, key=lambda each: each.wall) for rounds in (found[1], found[options.workers]))
    name = f"{len(picture) / 1e6:.1f} MB, {options.workers} side by side"
    yield Claim(f"{name}: wall", beside.wall, alone.wall, alone.wall / beside.wall, "ms a picture", count, command)
    yield Claim(f"{name}: CPU", beside.cpu, alone.cpu, alone.cpu / beside.cpu, "ms a picture", count, command)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="pictures to ask about")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    run("exiftool about maker notes; peer is one after the other", measure, parser)
