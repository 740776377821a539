"""A Bundle holds or is refused, naming the first place; what is received stays apart, read-only, with its origin."""

import base64
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from remake import Change, drop_last_line, flip, rechain, remade, swap_lines
from share_world import World

from clew.core import forces, keys
from clew.core.checkpoint import checkpoint
from clew.core.errors import ClewError, Damaged, Refused, Usage
from clew.core.ledger import canonical
from clew.core.merkle import Tree
from clew.core.verify import verify_case
from clew.model import Force
from clew.share import manifest
from clew.share.receive import receive
from clew.share.verify import verify_bundle


def check(world: World, path: Path | str, code: str = "AT"):
    return verify_bundle(Path(path), sender_key=world.public("EU"), identity=world.identity(code))


def test_a_good_bundle_holds_and_verifying_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world.build()
    scratch = world.folder / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    report = check(world, made.path)
    assert [name for name, _ in report.checks] == ["signature", "parties", "files", "bag", "ledger", "annex"]
    assert report.manifest.bundle == made.id
    assert list(scratch.iterdir()) == []


NAMES = [
    "manifest.json",
    "manifest.sig",
    "bagit.txt",
    "bag-info.txt",
    "manifest-sha256.txt",
    "tagmanifest-sha256.txt",
    *(f"data/{n}" for n in ("annex.age", "evidence/sightings.jsonl", "known-hashes.vics.json", "leads.case.jsonld")),
    *(f"data/{n}" for n in ("ledger/checkpoint.note", "ledger/checkpoint.sig", "ledger/ledger.jsonl", "summary.html")),
    "data/taken-back.jsonl",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_in_any_file_is_named(world: World, name: str) -> None:
    bad = remade(world, world.build().path, flip(name))
    with pytest.raises(Damaged) as caught:
        check(world, bad)
    assert ("manifest.json" if name == "manifest.sig" else name) in caught.value.message


def test_every_file_of_a_bundle_is_in_the_list_above(world: World) -> None:
    assert sorted([*check(world, world.build().path).manifest.files, *NAMES[:6]]) == sorted(NAMES)


def test_what_only_an_insider_can_do_is_still_noticed(world: World) -> None:
    """Signed by the sender's own key, all hashes right: the ledger's chain and root, and the annex, still tell."""
    path, key = world.build().path, keys.signing_key("EU", world.keys)
    cases: list[tuple[Change, str]] = [
        (swap_lines(manifest.LEDGER), "ledger.jsonl breaks at entry 1"),
        (drop_last_line(manifest.LEDGER), "ledger.jsonl ends after 7 entries"),
        (drop_last_line(manifest.SIGHTINGS), "3 contacts"),
        (rechain, "ledger.jsonl ends"),
        (flip("data/ledger/checkpoint.sig"), "checkpoint.note is not a checkpoint signed"),
        (other_note(world), "checkpoint of another ledger"),
        (weak_contact, "tier 'E0'"),
        (other_transcript, "raw bytes of contact"),
        (flip("data/annex.age"), "annex.age"),
    ]
    for change, words in cases:
        with pytest.raises(ClewError, match=words):
            check(world, remade(world, path, change, signer=key))
    with pytest.raises(Damaged, match="checkpoint of another ledger"):
        check(world, remade(world, path, rechain, signer=key, state=True))


def other_note(world: World) -> Change:
    """A true checkpoint of the same ledger, signed by the sender, but of a later state."""
    later = checkpoint(world.case, keys.signing_key("EU", world.keys), "EU")

    def change(top: Path) -> None:
        (top / manifest.NOTE).write_text(later.note)
        (top / manifest.NOTE_SIGNATURE).write_bytes(later.signature)

    return change


def weak_contact(top: Path) -> None:
    text = (top / manifest.SIGHTINGS).read_text()
    (top / manifest.SIGHTINGS).write_text(text.replace('"tier":"E2"', '"tier":"E0"', 1))


def other_transcript(top: Path) -> None:
    lines = (top / manifest.SIGHTINGS).read_text().splitlines()
    facts = json.loads(lines[0]) | {"transcript_sha256": "0" * 64}
    (top / manifest.SIGHTINGS).write_text("\n".join([canonical(facts), *lines[1:]]) + "\n")


def retagged(change: Change) -> Change:
    """What whoever can open a Bundle can do: BagIt's own files bear no signature and are made anew."""

    def changed(top: Path) -> None:
        change(top)
        tags = sorted(p.name for p in top.iterdir() if p.is_file() and p.name != "tagmanifest-sha256.txt")
        lines = (f"{hashlib.sha256((top / n).read_bytes()).hexdigest()}  {n}\n" for n in tags)
        (top / "tagmanifest-sha256.txt").write_text("".join(lines))

    return changed


def beside(top: Path) -> None:
    (top / "more").mkdir()
    (top / "more" / "leads.html").write_text("<p>nobody signed this</p>")


def other_sender(top: Path) -> None:
    text = (top / "bag-info.txt").read_text()
    (top / "bag-info.txt").write_text(text.replace("Source-Organization: ", "Source-Organization: not "))


def test_nothing_that_is_not_signed_is_in_a_bundle(world: World) -> None:
    path = world.build().path
    cases: list[tuple[Change, str]] = [
        (beside, "more is in the bundle, but nothing of it is signed"),
        (lambda top: (top / "README.txt").write_text("open leads.html"), "README.txt is in the bundle, but nothing"),
        (other_sender, "bag-info.txt does not state"),
    ]
    for change, words in cases:
        with pytest.raises(Damaged, match=words):
            check(world, remade(world, path, retagged(change)))
    check(world, remade(world, path, retagged(lambda _: None)))


def test_swapped_cut_or_added_files_are_named(world: World) -> None:
    path = world.build().path
    cases: list[tuple[Change, str]] = [
        (swap_lines(manifest.LEDGER), "data/ledger/ledger.jsonl does not hash"),
        (drop_last_line(manifest.LEDGER), "data/ledger/ledger.jsonl does not hash"),
        (lambda top: (top / manifest.SIGHTINGS).unlink(), "data/evidence/sightings.jsonl is listed"),
        (lambda top: (top / "data/zzz").write_bytes(b""), "data/zzz is in the bundle"),
        (lambda top: (top / "manifest.json").unlink(), "manifest.json is not in the bundle"),
    ]
    for change, words in cases:
        with pytest.raises(Damaged, match=words):
            check(world, remade(world, path, change))


def test_the_file_itself_cut_flipped_or_lengthened_is_refused(world: World) -> None:
    data = Path(world.build().path).read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for number, bad in enumerate((data[:-1], data[:200], bytes(flipped), data + b"x", b"", b"PK", data[:100])):
        path = world.folder / f"bad{number}"
        path.write_bytes(bad)
        with pytest.raises((Damaged, Refused), match=f"bad{number}"):
            check(world, path)


def test_another_force_cannot_open_it_and_nobody_can_redirect_it(world: World) -> None:
    path = world.build().path
    with pytest.raises(Refused, match="not encrypted for this identity"):
        check(world, path, "DE")
    with pytest.raises(Refused, match="made for AT"):
        check(world, remade(world, path, lambda top: None, to="DE"), "DE")


def test_a_bundle_signed_by_somebody_else_is_refused_whatever_it_says(world: World) -> None:
    """The forger signs with a key of their own and writes that key into the manifest: the recipient's key decides."""
    evil = keys.signing_key("evil", world.keys)

    def claim(top: Path) -> None:
        body = json.loads((top / "manifest.json").read_bytes())
        body["sender"]["key"] = keys.public_hex(evil)
        (top / "manifest.json").write_text(json.dumps(body))

    forged = remade(world, world.build().path, claim, signer=evil)
    with pytest.raises(Damaged, match="signature does not hold"):
        check(world, forged)
    case = world.case_of("AT")
    with pytest.raises(Damaged, match="signature does not hold"):
        receive(case, forged, keys_folder=world.keys)
    assert list((case.folder / "received").iterdir()) == []


def test_received_facts_stay_apart_read_only_with_their_origin(world: World) -> None:
    made = world.build()
    case = world.case_of("AT")
    got = receive(case, Path(made.path), keys_folder=world.keys)
    assert (got.new, got.sender, got.counts["leads"]) == (True, "EU", 2)
    store = got.folder / "store.db"
    assert [oct(p.stat().st_mode & 0o777) for p in got.folder.rglob("*") if p.is_file()] == ["0o444"] * 16
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as conn:
        for table in ("leads", "intervals", "sightings", "known_hashes", "ledger"):
            rows = conn.execute(f"SELECT origin, count(*) FROM {table} GROUP BY origin").fetchall()
            assert rows == [
                (made.id, {"leads": 2, "intervals": 2, "sightings": 4, "known_hashes": 2}.get(table, rows[0][1]))
            ]
        assert conn.execute("SELECT DISTINCT statement FROM leads").fetchall() == [
            ("insufficient alone to identify a user; possession not tested",)
        ]
        ports = conn.execute("SELECT address, port FROM intervals ORDER BY port").fetchall()
        assert ports == [("192.0.2.1", 6881), ("2001:db8::1", 6882)]
    for table in ("leads", "grades", "hits", "subjects"):
        assert case.read().execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, (
            "nothing mixes with its own facts"
        )
    row = case.read().execute("SELECT * FROM received").fetchone()
    assert (row["id"], row["sender"], bytes(row["sha256"])) == (made.id, "EU", made.sha256)
    assert json.loads(last_line(case))["action"] == "bundle.received"
    assert not list((case.folder / "received").glob(".*")), "no plaintext is left lying about"


def last_line(case) -> str:
    return case.read().execute("SELECT line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()[0]


def test_the_same_bundle_again_changes_nothing_but_another_under_its_id_is_refused(world: World) -> None:
    made = world.build()
    case = world.case_of("AT")
    receive(case, Path(made.path), keys_folder=world.keys)
    entries = last_line(case)
    assert receive(case, Path(made.path), keys_folder=world.keys).new is False
    assert last_line(case) == entries
    replay = remade(world, made.path, lambda top: None)
    with pytest.raises(Refused, match="received before, as another file"):
        receive(case, replay, keys_folder=world.keys)


def test_an_unknown_sender_is_refused_unless_the_recipient_gives_its_key(world: World) -> None:
    path = Path(world.build().path)
    case = world.case_of("AT", knows_sender=False)
    with pytest.raises(Refused, match="'EU' is unknown here"):
        receive(case, path, keys_folder=world.keys)
    forces.add(case, Force("EU", "Coordinator", "BE", None, None, None))
    with pytest.raises(Refused, match="no signing key"):
        receive(case, path, keys_folder=world.keys)
    assert receive(case, path, keys_folder=world.keys, sender_key=str(world.keys / "EU.pub")).new


def test_a_case_of_another_force_refuses_it(world: World) -> None:
    case = world.case_of("DE")
    with pytest.raises(Refused, match="for AT, and this is a case of DE"):
        receive(case, Path(world.build().path), keys_folder=world.keys, identity_name="AT")


def test_what_a_crash_left_half_received_is_replaced(world: World) -> None:
    made, case = world.build(), world.case_of("AT")
    garbage = case.folder / "received" / made.id
    garbage.mkdir()
    (garbage / "store.db").write_bytes(b"half")
    assert receive(case, Path(made.path), keys_folder=world.keys).new
    with closing(sqlite3.connect(garbage / "store.db")) as conn:
        assert conn.execute("SELECT count(*) FROM leads").fetchone() == (2,)


def test_signed_but_odd_files_are_refused_and_nothing_is_kept(world: World) -> None:
    path, key = world.build().path, keys.signing_key("EU", world.keys)
    case = world.case_of("AT")
    for name, text in (
        ("data/leads.case.jsonld", "[]"),
        ("data/leads.case.jsonld", '{"@graph": [{"@type": ["clew:Lead"]}]}'),
        ("data/leads.case.jsonld", '{"@graph": []}'),
        ("data/known-hashes.vics.json", '{"value": [{"MediaID": 1}]}'),
        ("data/known-hashes.vics.json", "{"),
    ):
        odd = remade(world, path, lambda top, n=name, t=text: (top / n).write_text(t), signer=key)
        with pytest.raises(Damaged):
            receive(case, odd, keys_folder=world.keys)
    assert list((case.folder / "received").iterdir()) == []
    assert case.read().execute("SELECT count(*) FROM received").fetchone()[0] == 0


def test_a_cut_or_rewritten_ledger_of_the_sender_shows_against_the_bundles_checkpoint(world: World) -> None:
    """What a chain alone cannot show: the checkpoint left with the Bundle."""
    made, case = world.build(), world.case_of("AT")
    note = (receive(case, Path(made.path), keys_folder=world.keys).folder / "bag" / manifest.NOTE).read_text("utf-8")
    public = world.public("EU")
    assert verify_case(world.case, outside=note, signer=public).root
    size = int(note.splitlines()[1])
    root = base64.b64decode(note.splitlines()[2])
    lines = [r[0].encode() for r in world.case.read().execute("SELECT line FROM ledger WHERE seq < ?", (size,))]
    tree = Tree()
    for line in lines:
        tree.add(line)
    assert tree.root() == root
    database = world.case.folder / "case.db"
    world.case.close()
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("DELETE FROM checkpoints")
        previous = bytes(32)
        for seq, line in conn.execute("SELECT seq, line FROM ledger ORDER BY seq").fetchall():
            text = canonical(json.loads(line) | {"actor": "nobody", "prev": previous.hex()})
            previous = hashlib.sha256(text.encode()).digest()
            conn.execute("UPDATE ledger SET line = ?, hash = ? WHERE seq = ?", (text, previous, seq))
    assert verify_case(world.case).root, "re-chained: by itself, the case looks sound"
    with pytest.raises(Damaged, match="not those that were signed for"):
        verify_case(world.case, outside=note, signer=public)
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("DELETE FROM ledger WHERE seq >= ?", (size - 1,))
        conn.execute("DELETE FROM ledger_openings WHERE seq >= ?", (size - 1,))
    assert verify_case(world.case).root, "cut: by itself, the case looks sound"
    with pytest.raises(Damaged, match="tail is cut"):
        verify_case(world.case, outside=note, signer=public)


def test_wrong_arguments_say_what_to_do(world: World) -> None:
    with pytest.raises(Usage):
        check(world, world.folder / "nothing")
    with pytest.raises(Usage):
        verify_bundle(Path(world.build().path), sender_key=world.public("EU"), identity="AGE-SECRET-KEY-1NO")


@pytest.mark.parametrize("rewritten_first", [False, True])
def test_a_sender_who_wrote_its_ledger_anew_is_found_by_the_bundle_before(world: World, rewritten_first: bool) -> None:
    """Every check of the one bundle holds: it is the other one, of the same case, that tells."""
    key, case = keys.signing_key("EU", world.keys), world.case_of("AT")
    made, later = Path(world.build().path), world.build().path

    def anew(top: Path) -> None:
        rechain(top)
        tree = Tree()
        for line in (top / manifest.LEDGER).read_bytes().splitlines():
            tree.add(line)
        origin = (top / manifest.NOTE).read_text().splitlines()[0]
        body = f"{origin}\n{tree.size}\n{base64.b64encode(tree.root()).decode()}\n"
        (top / manifest.NOTE).write_text(f"{body}\n")
        signature = keys.sign(key, body.encode())
        public = keys.public_hex(key)
        hashed = hashlib.sha256(b"clew/EU\n\x01" + bytes.fromhex(public)).digest()[:4]
        line = f"\N{EM DASH} clew/EU {base64.b64encode(hashed + signature).decode()}\n"
        (top / manifest.NOTE).write_text(f"{body}\n{line}")
        (top / manifest.NOTE_SIGNATURE).write_bytes(signature)

    forged = remade(world, later, anew, signer=key, state=True)
    check(world, forged)
    order = [forged, made] if rewritten_first else [made, forged]
    receive(case, order[0], keys_folder=world.keys)
    with pytest.raises(Damaged, match="entries are not those"):
        receive(case, order[1], keys_folder=world.keys)
    if not rewritten_first:
        assert receive(case, Path(later), keys_folder=world.keys).new
