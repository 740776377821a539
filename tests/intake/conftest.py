"""What several tests of intake share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.core import held


@pytest.fixture
def none_held() -> Iterator[None]:
    """Afterwards, no descriptor of an image is held, as in a worker that was just born."""
    yield
    for descriptor in held.descriptors:
        os.close(descriptor)
    held.descriptors = ()


@pytest.fixture
def seized(tmp_path: Path):
    """A case, its exhibits, and what `clew pieces` told of them."""
    from seized_pieces import Seized  # libtorrent is loaded where it is asked for

    return Seized(tmp_path / "taken")
