"""What must not be believed: a worker's answers, a disk's sizes, and that evidence stays as it is while it is read."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import items, sha256, traits

from case_made import new_case
from clew.core import pictures, shards
from clew.core.channel import Reply
from clew.core.engine import Outcome, Task
from clew.intake import said
from clew.intake.account import account
from clew.intake.api import FAST, Found, Job, Part
from clew.intake.basis import Basis
from clew.intake.disk import tables
from clew.intake.listing import BatchSize, Draft, Lister
from clew.intake.options import Options
from clew.intake.reading import read
from clew.intake.run import exact, intake
from clew.intake.sources import _disk, _said, folder
from clew.intake.telling import Telling
from clew.intake.walk import Listing, preorder
from clew.intake.work import CHANGED, HASHED, MOST_STORED, MOST_TRAITS, Batch, Look, Reader, Record
from clew.model import Missing, Reason

PLAIN = Options(workers=1, extractors=())


@pytest.mark.parametrize(
    "value",
    [{"number": float("inf")}, {"number": float("nan")}, {"number": "nan"}, {"number": True}, {"integer": True},
     {"integer": 1 << 63}],
    ids=repr,
)  # fmt: skip
def test_no_value_that_a_shard_could_not_hold(value):
    answer = {"extractor": "x", "version": "1", "traits": [{"name": "n", **value}]}
    with pytest.raises(said.WRONG):
        said.traits(answer, (), lambda _: b"")


@pytest.mark.parametrize("ref", ["fs@0/5", "file/x", "fs@0/x/128-1/a", "fs@0/1/128-1/a\nb", "fs@-1/1/name/a", "", 5])
def test_no_ref_that_could_not_be_opened_again(ref):
    with pytest.raises(said.WRONG):
        _said._ref(ref)
    assert _said._ref("fs@1048576/77/128-1/a%20b") == "fs@1048576/77/128-1/a%20b"


def _reader(tmp_path: Path, records: dict[str, Record]) -> Reader:
    case = new_case(tmp_path / "case")
    look = Look((), FAST, "v", FAST)
    reader = Reader(case, "e", None, look, Basis(case, "e"), lambda *_: None)  # type: ignore[arg-type]
    batch = Batch("b", records, set(records), drawn=True)
    reader._hands = dict.fromkeys(records, batch)
    return reader


def _content(data: bytes) -> dict[str, object]:
    return {"sha256": sha256(data), "sha1": bytes(20), "md5": bytes(16), "size": len(data), "content_state": "complete"}


def test_a_worker_that_never_ends_costs_its_item_and_no_memory(tmp_path):
    record = Record({"item": "i", "size": 1}, content=_content(b"x"))
    reader = _reader(tmp_path, {"i": record})
    answer = {"extractor": "x", "version": "1", "traits": [{"name": "n", "integer": 1}] * 2_000}
    task = Task("i", "m:e", {})
    for _ in range(110):
        reader._take(reader._hands["i"], Outcome(task, Reply(answer), False, 0.0))
    assert len(record.traits) <= MOST_TRAITS + 2_000
    assert record.missing == Missing(Reason.LIMIT_REACHED, "the worker's answers had no end")
    reader._take(reader._hands["i"], Outcome(task, Missing(Reason.UNREADABLE, "y" * 1_000_000), True, 0.0))
    assert len(record.missing.detail) <= 1_000


def test_answers_without_end_do_not_cost_the_hashes(tmp_path):
    """Of what is too large to be held the hashes come last; they are asked for again, and heard."""
    row = {"item": "i", "ref": "r", "size": 1, "content_state": "complete"}
    record = Record(row, media_type="x/y", stored=MOST_STORED + 1)
    reader = _reader(tmp_path, {"i": record})
    reader.session = SimpleNamespace(job=lambda _: Job("m:f", {}))  # type: ignore[assignment]
    task = Task("i", "m:f", {})
    content = {"content": {"sha256": "00" * 32, "sha1": "00" * 20, "md5": "00" * 16, "size": 1, "state": "complete"}}
    reader._take(reader._hands["i"], Outcome(task, Reply(content), True, 0.0))
    assert record.content is None
    (again,) = reader._unhashed([reader._hands["i"]])
    assert again.payload["extractors"] == ()
    reader._take(reader._hands["i"], Outcome(again, Reply(content), True, 0.0))
    assert record.content is not None
    assert record.missing.detail == "the worker's answers had no end"


def test_long_names_close_a_batch():
    draft = Draft()
    for number in range(100):
        draft.take(Found(f"file/{number}", b"x" * 200_000, 0, "", "folder"))
        if draft.full(BatchSize()):
            break
    assert 80 < len(draft.found) < 90


def test_of_two_equal_contents_the_whole_traits_are_kept(tmp_path):
    """The first copy's decoder was stopped half way, the second one's was not."""
    part, rest = ({"name": name, "integer": 1} for name in ("early", "late"))
    half = Record({"item": "a"}, _content(b"x"), None, Missing(Reason.LIMIT_REACHED, "time"), [part])
    whole = Record({"item": "b"}, _content(b"x"), None, None, [part, rest])
    reader = _reader(tmp_path, {})
    names = {row["name"] for row in reader._traits({"a": half, "b": whole}, set())}
    assert names == {"early", "late"}


def test_a_file_written_to_while_it_is_read_gets_no_hash(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a" * 10)
    descriptor = os.open(path, os.O_RDONLY)
    payload = {"size": 10, "extractors": (), "mode": FAST, "opener": "clew.intake.sources.folder:file"}
    source = folder.file({}, [descriptor])
    assert source.read(0, 100) == b"a" * 10
    with path.open("ab") as file:
        file.write(b"b")
    from clew.core.absent import Absent

    with pytest.raises(Absent, match="written to while"):
        source.read(11, 100)
    assert next(iter(read(payload, [descriptor]))).value["content"]["size"] == 11
    os.close(descriptor)


def test_a_file_that_shrank_since_it_was_listed_is_partial(tmp_path, monkeypatch):

    root = tmp_path / "evidence"
    root.mkdir()
    (root / "f").write_bytes(b"0123456789")
    monkeypatch.setattr(Telling, "listed", lambda _self, _items, _size: (root / "f").write_bytes(b"01"))
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="F", workers=1, options=PLAIN)
    assert items(case)[b"f"]["as_read"] == "partial"


def test_evidence_that_changed_between_two_attempts_is_told(tmp_path):
    """The first hash stays, and no Item stands as done whose bytes are others by now."""
    root = tmp_path / "evidence"
    root.mkdir()
    (root / "f").write_bytes(b"first")
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="F", workers=1, options=PLAIN)
    (root / "f").write_bytes(b"second")
    again = Options(workers=1, extractors=("nasty_extractor:PLUGIN",))
    summary = intake(case, path=root, label="F", workers=1, options=again)
    found = items(case)[b"f"]
    assert (found["state"], found["detail"], found["sha256"]) == (
        "unreadable",
        HASHED + CHANGED.detail,
        sha256(b"first"),
    )
    assert not summary.account.complete
    assert traits(case, sha256(b"second")) == {}


def test_directories_that_vanish_before_a_resume_are_told(tmp_path):
    """The cursor lies deep; the directories on the way down hold more, and cannot be listed any more."""
    tree = {(): (b"a", b"b"), ((b"a", 0, 0),): (b"c", b"d"), ((b"a", 0, 0), (b"c", 0, 0)): ()}

    def lister(at):
        listing = Listing()
        listing.folders += [(name, 0, 0) for name in tree.get(at, ())]
        listing.files += [((b"f%d" % n, 0, 0), n) for n in range(2)]
        return listing

    events = list(preorder(lister))
    deep = next(e for e in events if len(e.at) == 2 and e.file == 0)
    gone = Missing(Reason.UNREADABLE, "gone")
    for lost in ((), deep.at[:1], deep.at):
        found = list(preorder(lambda at, lost=lost: gone if at == lost else lister(at), deep.cursor))
        assert [e.at for e in found if e.entered == gone] == [lost]


def test_a_sweep_resumed_inside_a_record_lists_its_other_streams(monkeypatch):
    """Killed between two streams of one record: the record is listed already, and yet not done."""
    asked = []

    def ask(_entry, payload, _fds, _size):
        asked.append(payload)
        return {"items": [], "next": payload["end"]}

    disk = _disk.Disk([Path("/dev/null")], "clew.intake.containers.raw:open_raw")
    detail = {"offset": 0, "first_inode": 0, "last_inode": 100, "length": 1 << 20}
    part = Part("fs@0/sweep", detail)
    seen = lambda _prefix, make: make(iter(["fs@0/40/128-1/a", "fs@0/41/128-1/b"]))  # noqa: E731
    list(disk.items(part, "40.0", seen, ask))
    disk.close()
    from base64 import b64decode

    bits, base = b64decode(asked[0]["seen"]), asked[0]["seen_from"]
    assert [bits[(n - base) // 8] >> ((n - base) % 8) & 1 for n in (40, 41)] == [0, 1]
    assert (asked[0]["first"], asked[0]["sub"]) == (40, 0)


def test_an_image_of_no_bytes_is_not_complete(tmp_path):
    (tmp_path / "empty.img").write_bytes(b"")
    found = intake(new_case(tmp_path / "case"), path=tmp_path / "empty.img", label="D", options=PLAIN)
    assert not found.complete
    assert "it has no bytes" in found.words()


def test_partitions_beyond_the_image_are_parts_that_were_not_read(tmp_path):
    image = tmp_path / "cut.img"
    image.write_bytes(bytes(4096))
    table = {"scheme": "MBR", "parts": [
        {"offset": 1024, "length": 9000, "allocated": True, "table": "one"},
        {"offset": 8192, "length": 9000, "allocated": True, "table": "two"},
    ]}  # fmt: skip

    def ask(entry, _payload, _fds, _size):
        if entry.endswith(":size"):
            return {"size": 4096, "said": []}
        return table if entry.endswith(":table") else Missing(Reason.UNKNOWN, "none")

    disk = _disk.Disk([image], "clew.intake.containers.raw:open_raw")
    parts = {part.name: part.missing for part in disk.parts(ask)}
    disk.close()
    assert set(parts) == {"cut@1024", "fs@1024", "fs@1024/carve", "cut@8192"}
    assert "image is cut" in parts["cut@8192"].detail


def test_a_table_that_cannot_be_opened_is_not_called_none():
    entry = bytes((0x80, 0, 0, 0, 0x83, 0, 0, 0)) + (2048).to_bytes(4, "little") * 2
    sector = bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes(512)
    assert tables.names_partitions(sector)
    assert tables.names_partitions(bytes(512) + b"EFI PART" + bytes(504))
    assert not tables.names_partitions(bytes(1024))
    assert not tables.names_partitions(b"\xeb\x58\x90MSDOS5.0" + b"\x33\xc9" * 249 + b"\x0d\x55\xaa" + bytes(512))


def test_sizes_that_no_column_can_sum_up(tmp_path):
    """Two inodes that claim nearly 2^63 bytes each: the account is given all the same."""
    case = new_case(tmp_path / "case")
    huge = (1 << 63) - 1

    class Claims:
        def check(self):
            pass

        def parts(self, _ask):
            yield Part("p", {"kind": "folder"})

        def items(self, *_):
            yield from (Found(f"file/{n}", b"%d" % n, huge, f"{n}", "test") for n in range(3))

    lister = Lister(case, "e", folder.PLUGIN, Basis(case, "e"), BatchSize(), lambda *_: None)
    list(lister.steps(Claims(), None))  # type: ignore[arg-type]
    with case.write("intake") as tx:
        tx.execute("UPDATE items SET state='done'")
    assert account(case, "e").done == 3


def test_a_second_look_that_failed_can_be_taken_again(tmp_path):
    import hostile

    root = tmp_path / "evidence"
    root.mkdir()
    hostile.good_picture(root / "p.jpg", 1)
    data = (root / "p.jpg").read_bytes()
    (root / "q.txt").write_bytes(b"by which the folder is known again")
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="P", workers=1)
    (root / "p.jpg").unlink()
    for _ in range(2):  # said each time, not the first time alone
        assert exact(case, [sha256(data)], options=Options(workers=1)).failed
    (root / "p.jpg").write_bytes(data)
    assert exact(case, [sha256(data)], options=Options(workers=1)).done == 1
    sql = "SELECT data FROM traits WHERE name='pdq' AND mode='exact' AND data IS NOT NULL"
    assert shards.query(case, sql).num_rows == 1


def test_picture_traits_of_no_sense_do_not_end_matching(tmp_path):
    case = new_case(tmp_path / "case")
    rows = [("pdq", {"data": b"short"}), ("image.width", {"integer": 1 << 62}), ("image.height", {"integer": 1 << 62})]
    by = {"extractor": "x", "version": "1", "mode": "fast"}
    good = [("pdq", {"data": bytes(32)}), ("pdq.quality", {"integer": 90}), *rows[1:]]
    table = [{"content": sha256(b"a"), "name": name, **value, **by} for name, value in rows]
    table += [{"content": sha256(b"b"), "name": name, **value, **by} for name, value in good]
    pending = shards.write(case, "traits", table)
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch="b", versions="v", config="fast", pending=[pending])
    assert pictures.read(case).content.tobytes() == sha256(b"b")
