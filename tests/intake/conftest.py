"""What several tests of intake share."""

import os
from collections.abc import Iterator

import pytest

from clew.core import held


@pytest.fixture
def none_held() -> Iterator[None]:
    """Afterwards, no descriptor of an image is held, as in a worker that was just born."""
    yield
    for descriptor in held.descriptors:
        os.close(descriptor)
    held.descriptors = ()
