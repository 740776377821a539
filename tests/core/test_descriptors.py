"""The limit of open descriptors, in a process of its own each time, since it cannot be raised again once lowered."""

import subprocess
import sys

from clew.core.descriptors import SPARE

CODE = """
import resource, sys
from clew.core.descriptors import room_for
from clew.core.errors import Usage
soft, hard, count = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    room_for(count, "it needs many", "ask for less")
except Usage as refused:
    print(refused.message, "|", refused.hint)
else:
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def asked(soft, hard, count):
    command = [sys.executable, "-c", CODE, str(soft), str(hard), str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_soft_limit_that_is_too_low_is_raised():
    assert asked(256, 900, 300) == f"{300 + SPARE} 900"


def test_one_that_is_high_enough_stays():
    assert asked(850, 900, 300) == "850 900"


def test_what_the_hard_limit_forbids_is_refused_with_what_to_do():
    what, hint = asked(256, 700, 300).split(" | ")
    assert what == "it needs many, and only 700 may be open at a time"
    assert hint == f"raise the limit (ulimit -Hn {300 + SPARE}), or ask for less"
