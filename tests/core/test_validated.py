"""A build is validated by a table that was measured on exactly its own code, and by no other."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import clew
from clew.core import validated

HERE = Path(clew.__file__).parent


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package of its own in place of clew."""
    folder = tmp_path / "package"
    (folder / "range" / "__pycache__").mkdir(parents=True)
    (folder / "a.py").write_text("a = 1\n")
    (folder / "range" / "b.toml").write_text("b = 2\n")
    monkeypatch.setattr(validated.resources, "files", lambda _name: folder)
    validated.build_hash.cache_clear()
    yield folder
    validated.build_hash.cache_clear()


def test_the_hash_is_what_anyone_computes(package):
    lines = [
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for name, text in (("a.py", b"a = 1\n"), ("range/b.toml", b"b = 2\n"))
    ]
    assert validated.build_hash() == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_one_byte_one_name_or_one_file_more_is_another_build(package):
    before = validated.hash_of(package)
    (package / "a.py").write_text("a = 2\n")
    assert validated.hash_of(package) != before
    (package / "a.py").write_text("a = 1\n")
    assert validated.hash_of(package) == before
    (package / "c.py").write_text("")
    assert validated.hash_of(package) != before
    (package / "c.py").unlink()
    (package / "a.py").rename(package / "d.py")
    assert validated.hash_of(package) != before


def test_caches_and_the_table_itself_do_not_count(package):
    before = validated.hash_of(package)
    (package / "range" / "__pycache__" / "b.cpython-311.pyc").write_bytes(b"x")
    (package / validated.TABLE).write_text("{}")
    assert validated.hash_of(package) == before


@pytest.mark.parametrize(
    ("table", "valid"),
    [
        ({"format": validated.FORMAT, "build": "SELF"}, True),
        ({"format": validated.FORMAT, "build": "0" * 64}, False),
        ({"format": "clew error rates 0", "build": "SELF"}, False),
        ({"format": validated.FORMAT}, False),
        (["SELF"], False),
        (None, False),
    ],
)
def test_only_a_table_of_this_very_build_validates_it(package, table, valid):
    text = json.dumps(table).replace("SELF", validated.build_hash())
    if table is not None:
        (package / validated.TABLE).write_text(text)
    assert validated.is_validated() is valid


def test_a_broken_table_validates_nothing(package):
    (package / validated.TABLE).write_text("{")
    assert validated.table() is None
    assert not validated.is_validated()
    (package / validated.TABLE).write_bytes(b"\xff")
    assert not validated.is_validated()


def test_a_copy_of_the_package_is_the_same_build(tmp_path):
    """Independent of where it lies and of version control."""
    shutil.copytree(HERE, tmp_path / "clew")
    assert validated.hash_of(tmp_path / "clew") == validated.hash_of(HERE) == validated.build_hash()
