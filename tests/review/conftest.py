"""Fixtures of the review stage's tests; what they are made of stands in review_page.py."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from review_page import Known, Served, empty_case, entered, fill, serving


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    made = fill(empty_case(tmp_path / "case"))
    yield made
    made.case.close()


@pytest.fixture
def served(known: Known) -> Iterator[Served]:
    with serving(known.case.folder, "heron") as page:
        yield page


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with entered(served) as client:
        yield client
