"""One exhibit, one empty case and its undisturbed digest for all faults."""

from pathlib import Path

import pytest
from disturbed import undisturbed, write_evidence

from case_made import empty_case


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evidence(tmp_path_factory.mktemp("faults") / "evidence")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_case(tmp_path_factory.mktemp("faults") / "empty")


@pytest.fixture(scope="session")
def digest(empty: Path, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return undisturbed(empty, evidence, tmp_path_factory.mktemp("faults") / "case")
