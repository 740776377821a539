"""What the tests that kill an intake begin with."""

from pathlib import Path

import pytest

from case_made import empty_case


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with a Mandate, to be copied."""
    return empty_case(tmp_path_factory.mktemp("cases") / "empty")
