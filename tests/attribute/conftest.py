"""Fixtures of the tests of runs, of corroboration and of verbs."""

import pytest
from attribute_case import countries, full, register, run
from corroborate_case import make, world

from clew.cli.main import main

__all__ = ["clew", "countries", "full", "make", "register", "run", "world"]


@pytest.fixture
def clew(capsys):
    """Runs a command; returns its exit status, what it printed, and what it complained of."""

    def do(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(w) for w in words])
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return do
