"""Every plug-in's own examples, cut and with flipped bits, path tricks and huge folders in one exhibit: each file
costs itself alone, nothing is written outside the case, and no connection is opened.
"""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import traced
from disturbed import SOAK, take_in, words
from traced import OF_PATHS

from clew.core import plugins, shards
from clew.core.case import Case
from clew.intake.account import account
from clew.intake.tools import extractors

VARIANTS = 12 if SOAK else 2
CROWD = 1_000_000 if SOAK else 5_000
TRICKS = (
    b"..%2f..%2fetc%2fpasswd", b"-rf", b"a\nb", b"\x1b[2Jclear", b"CON", b"nul\xe2\x80\xaegpj.exe", b"\xff\xfe\xfd",
    b"%s%n",
    b"'; DROP TABLE items; --", b"!", b"x!y#1", b"#", b"a|b|c", b" ", b"\xc3\x28", b"$(reboot)", b"a" * 255,
)  # fmt: skip


def hostile_corpus(root: Path) -> dict[bytes, bytes]:
    """The files by name; `whole-...` are as their plug-in made them."""
    dice = random.Random(11)
    files: dict[bytes, bytes] = {}
    for spec in extractors():
        module, _, name = spec.partition(":")
        plugin = getattr(__import__(module, fromlist=[name]), name)
        for number, example in enumerate(plugin.examples()):
            stem = f"{plugin.name}-{number}".encode()
            files[b"whole-" + stem] = example.data
            for variant in range(VARIANTS if example.data else 0):
                files[b"cut-%s-%d" % (stem, variant)] = example.data[: dice.randrange(len(example.data))]
                flipped = bytearray(example.data)
                for _ in range(dice.choice((1, 8, 60))):
                    flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
                files[b"flipped-%s-%d" % (stem, variant)] = bytes(flipped)
    files |= {name: b"a name of " + name for name in TRICKS}
    root.mkdir()
    for name, data in files.items():
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(data)
    (root / "out").symlink_to("/etc")
    (root / "self").symlink_to("self")
    return files


@pytest.fixture(scope="module")
def taken(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Case, dict[bytes, bytes]]]:
    here = tmp_path_factory.mktemp("hostile-corpus")
    files = hostile_corpus(here / "evidence")
    shutil.copytree(empty, here / "case")
    ended = take_in(here / "case", here / "evidence", "--batch-items", "500")
    assert ended.returncode in {0, 3}, ended.stderr
    case = Case.open(here / "case")
    yield case, files
    case.close()


def test_every_file_is_accounted_for(taken):
    import hashlib

    case, files = taken
    exhibit = case.read().execute("SELECT id FROM exhibits").fetchone()["id"]
    assert account(case, exhibit).balanced
    sql = "SELECT l.path, l.parent, c.sha256 FROM listings l LEFT JOIN contents c USING (item)"
    found = {row["path"]: row["sha256"] for row in shards.query(case, sql).to_pylist() if row["parent"] is None}
    assert set(found) == {*files, b"out", b"self"}
    wrong = {name for name, data in files.items() if found[name] != hashlib.sha256(data).digest()}
    assert not wrong


def test_what_is_whole_is_not_hurt_by_what_is_not(taken):
    """Their neighbours may have killed a worker; their own traits are there."""
    case, files = taken
    states = {row["id"]: row["state"] for row in case.read().execute("SELECT id, state FROM items")}
    rows = shards.query(case, "SELECT item, path FROM listings WHERE parent IS NULL").to_pylist()
    hurt = [row["path"] for row in rows if row["path"].startswith(b"whole-") and states[row["item"]] != "done"]
    assert not hurt
    assert len([name for name in files if name.startswith(b"whole-")]) >= len(plugins.names("clew.intake.extractors"))


def test_the_ledger_and_the_database_hold(taken):
    case, _ = taken
    with closing(sqlite3.connect(case.folder / "case.db")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_nothing_is_written_outside_the_case_and_no_connection_is_opened(empty, tmp_path):
    hostile_corpus(tmp_path / "evidence")
    case = tmp_path / "case"
    shutil.copytree(empty, case)
    talks = "socket,connect,bind,listen"
    options = ["-s", "4096", "-e", f"trace=open,openat,openat2,creat,execve,{talks},{','.join(sorted(OF_PATHS))}"]
    command = words(case, tmp_path / "evidence", "--batch-items", "500")
    ended, logs = traced.run(tmp_path / "logs", options, command, PYTHONDONTWRITEBYTECODE="1")
    assert ended.returncode in {0, 3}, ended.stderr
    written = set()
    for call in (call for log in logs for call in traced.calls(log)):
        if call.name in {"socket", "connect", "bind", "listen"}:
            assert not any("AF_INET" in word or "AF_NETLINK" in word for word in call.arguments), call
        if call.name in OF_PATHS | {"creat"} and call.result >= 0:
            written |= {traced.text(word) for word in call.arguments if "\\x2f" in word}
        if call.name in {"open", "openat", "openat2"} and call.result >= 0:
            flags = next(word for word in call.arguments if "O_" in word)
            if "O_WRONLY" in flags or "O_RDWR" in flags:
                written.add(call.path(0 if call.name == "open" else 1))
    assert written
    outside = {path for path in written if not path.startswith((f"{case}/", "/dev/null", "/dev/shm/"))}
    assert not outside


def test_a_crowded_folder(empty, tmp_path):
    """A directory with very many entries is listed batch by batch, and in full."""
    crowd = tmp_path / "evidence" / "crowd"
    crowd.mkdir(parents=True)
    for number in range(CROWD):
        (crowd / f"{number:07}").touch()
    case = tmp_path / "case"
    shutil.copytree(empty, case)
    assert take_in(case, tmp_path / "evidence", "--batch-items", "2000").returncode == 0
    with closing(sqlite3.connect(case / "case.db")) as conn:
        assert conn.execute("SELECT count(*) FROM items WHERE state='done'").fetchone() == (CROWD,)
