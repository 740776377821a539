"""Commands as a person types them, in this process."""

from collections.abc import Callable

import pytest

from clew.cli.main import main

Outcome = tuple[int, str, str]


@pytest.fixture
def clew(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command; returns its exit status, what it printed, and what it complained of."""

    def do(*words: object) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return do


@pytest.fixture
def printed(clew: Callable[..., Outcome]) -> Callable[..., str]:
    """Runs a command that complains of nothing; returns what it printed."""

    def do(*words: object) -> str:
        status, out, err = clew(*words)
        assert (status, err) == (0, "")
        return out

    return do
