"""Adding a plug-in file to a stage changes no other file and brings its contract tests with it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

FIRST_BYTE = '''
"""The first byte of a content: a plug-in that only this test knows."""

from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.model import Missing, Reason


class FirstByte:
    """Trait "first.byte"."""

    name = "first_byte"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """Anything."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one trait."""
        if probe.data is None:
            yield "first.byte", Missing(Reason.TOO_LARGE, "not held in memory")
        elif len(probe.data) == 0:
            yield "first.byte", Missing(Reason.NOT_APPLICABLE, "there is none")
        else:
            yield "first.byte", probe.data[0]

    def examples(self) -> Iterator[Example]:
        """One letter."""
        yield Example("a.txt", b"a", "text/plain", {"first.byte": 97})


PLUGIN: Extractor = FirstByte()
'''


def copy_of_the_project(target: Path) -> dict[str, str]:
    """Source and contract tests in a new place, and the environment in which that copy is the clew that is imported."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", target / "src", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "contracts", target / "tests" / "contracts", ignore=ignore)
    shutil.copy2(ROOT / "pyproject.toml", target)
    return os.environ | {"PYTHONPATH": str(target / "src")}


def contracts(target: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-vv", "tests/contracts/test_extractors.py", "-k", "first_byte"]
    return subprocess.run(command, cwd=target, env=environment, capture_output=True, text=True, check=False)


def test_one_file_is_all_it_takes(tmp_path: Path) -> None:
    environment = copy_of_the_project(tmp_path)
    assert contracts(tmp_path, environment).returncode == 5, "before, no test knows it: pytest found none"
    (tmp_path / "src/clew/intake/extractors/first_byte.py").write_text(FIRST_BYTE.lstrip(), "utf-8")
    after = contracts(tmp_path, environment)
    assert after.returncode == 0, after.stdout
    assert after.stdout.count("first_byte") >= 5
    assert "PASSED" in after.stdout


def test_and_its_contract_tests_hold_it_to_the_contract(tmp_path: Path) -> None:
    environment = copy_of_the_project(tmp_path)
    broken = FIRST_BYTE.replace('{"first.byte": 97}', '{"first.byte": 98}')
    (tmp_path / "src/clew/intake/extractors/first_byte.py").write_text(broken.lstrip(), "utf-8")
    assert contracts(tmp_path, environment).returncode == 1
