"""What the observer's tests share: a case with a Mandate and a Watch, and a stage of fake peers and trackers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import Network, keeps_time
from observe_case import new_case, watch_body
from observe_stage import Stage

from clew.core.case import Case


@pytest.fixture
def authority() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def make_case(tmp_path: Path, authority: Ed25519PrivateKey) -> Callable[..., Case]:
    """A case with a Mandate (fields replaced by `other`) and the given Watches."""

    def make(*bodies: dict[str, Any], **other: Any) -> Case:
        return new_case(tmp_path / "case", authority, *bodies, **other)

    return make


@pytest.fixture
def case(make_case: Callable[..., Case]) -> Iterator[Case]:
    made = make_case()
    yield made
    made.close()


@pytest.fixture(scope="session")
def infohash() -> bytes:
    return bytes.fromhex(watch_body()["infohash_v1"])


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """What takes the place of the wire, with the clock set to its own."""
    made = Network()
    keeps_time(monkeypatch, made)
    return made


@pytest.fixture
def observed(played: Path, tmp_path: Path) -> Iterator[Case]:
    """A copy, for one test, of the case that its module `played`."""
    case = Case.open(shutil.copytree(played, tmp_path / "observed"), actor="tester")
    yield case
    case.close()
