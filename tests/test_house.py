"""The house itself: plug-ins in one file, imports that hold at run time, no line of the "never" list crossed."""

import re
import subprocess
import sys
from pathlib import Path

from clew import flow
from clew.core import db, plugins
from shared_out import LONGEST, TESTS

SRC = Path(__file__).parent.parent / "src" / "clew"


def test_every_table_has_one_owner() -> None:
    owned = [t for stage in flow.FLOW for t in stage.tables] + list(flow.CORE_TABLES)
    assert len(owned) == len(set(owned))
    made = re.findall(r"CREATE TABLE (\w+)", "".join(sql for _, sql in db.migrations()))
    assert sorted(owned) == sorted(set(made))  # a later version may make one anew


def test_every_stage_looks_alike() -> None:
    for stage in flow.FLOW:
        folder = SRC / stage.name
        assert (folder / "api.py").is_file(), f"{stage.name} has no contract"
        assert "->" in (folder / "__init__.py").read_text("utf-8").splitlines()[0]


def test_the_observer_does_not_load_pictures_or_other_stages() -> None:
    """What import-linter cannot see: the modules that are there once the observer is loaded."""
    code = "import sys, clew.observe.run; print('\\n'.join(m for m in sys.modules if m.startswith('clew.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "clew.observe.run" in loaded
    others = {s.name for s in flow.FLOW} - {"observe"}
    assert not [m for m in loaded if m == "clew.core.blobs" or m.split(".")[1] in others]


def test_a_worker_stays_small() -> None:
    code = "import sys, clew.core.worker; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "pyarrow", "duckdb"} & set(loaded)


def test_plugins_are_listed_without_importing_them() -> None:
    code = (
        "import sys; from clew.core import plugins; print(plugins.names('clew.intake.extractors'));"
        "print([m for m in sys.modules if m.startswith('clew.intake.extractors.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[0] != "[]"
    assert out[1] == "[]"


def test_no_magnet_link_anywhere() -> None:
    needle = "magnet" + ":?"
    assert not [p for p in SRC.rglob("*") if p.is_file() and needle.encode() in p.read_bytes()]


def test_plugin_folders_hold_plugins_alone() -> None:
    kinds = ["observe.networks", "observe.captures", "attribute.registers", "attribute.ranks", "intake.sources"]
    kinds += ["intake.extractors", "intake.artefacts", "match.readers", "identify.linkers", "share.exporters"]
    for kind in kinds:
        loaded = plugins.load_all(f"clew.{kind}")
        assert loaded, f"{kind} has no plug-in"
        assert {p.name for p in loaded.values()} == set(loaded), f"{kind}: a plug-in's name is its file's name"


def test_the_longest_files_are_there() -> None:
    assert len(set(LONGEST)) == len(LONGEST)
    assert not [name for name in LONGEST if not (TESTS / name).is_file()]
