"""One small case a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from share_world import World, fill, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = fill(make_world(tmp_path))
    yield made
    made.case.close()
