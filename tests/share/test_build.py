"""What leaves in a Bundle, and what never does."""

import hashlib
import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import ijson
import pyrage
import pytest
from share_world import CLOCK_ERROR, V1, V2, World

from clew.core import forces, keys, mandate, plugins
from clew.core.case import Case
from clew.core.checkpoint import checkpoint
from clew.core.errors import ClewError, Refused, Usage
from clew.model import Force
from clew.share import run, ustar
from clew.share.api import STATEMENT
from clew.share.collect import UNCERTAIN, collect
from clew.share.coverage import build_mark
from clew.share.receive import receive


def opened(world: World, path: str, code: str = "AT") -> Path:
    """The bag of a Bundle, by age and tar alone."""
    folder = world.folder / f"open-{Path(path).name}"
    folder.mkdir()
    plain = pyrage.decrypt(Path(path).read_bytes(), [pyrage.x25519.Identity.from_str(world.identity(code))])
    ustar.unpack(io.BytesIO(plain), folder, ustar.Limits())
    return next(folder.iterdir())


def package(world: World, code: str = "AT"):
    legal = mandate.require(world.case, purpose="share", at_ns=world.now)
    return collect(
        world.case, forces.get(world.case, code), bundle="b" * 32, now_ns=world.now, sender_key="5" * 64, legal=legal
    )


def test_only_this_forces_leads_leave_and_only_strong_ones(world: World) -> None:
    got = package(world)
    assert {lead.id for lead in got.leads} == {world.leads["first"], world.leads["second"]}
    assert {s.tier for s in got.sightings} <= {"E1", "E2"}
    assert {s.address for s in got.sightings} == {"192.0.2.1", "2001:db8::1"}
    assert {lead.id for lead in package(world, "DE").leads} == {world.leads["german"]}


def test_what_is_held_back_is_counted(world: World) -> None:
    assert dict(package(world).withheld) == {
        "resting on an address that answers for anything": 1,
        "whose force it is, is not certain, so it stays with the coordinating force": 2,
        "expired": 1,
        "a contact that it rests on may not be handed over": 1,
    }


def test_a_lead_carries_its_reasons_caveats_and_what_speaks_against_it(world: World) -> None:
    folder = opened(world, world.build().path)
    graph = json.loads((folder / "data/leads.case.jsonld").read_bytes())["@graph"]
    lead = next(n for n in graph if n.get("case-investigation:exhibitNumber") == world.leads["first"])
    assert lead["clew:caveat"] == ["caveat of first"]
    assert lead["clew:against"] == ["speaks against first"]
    assert lead["clew:reason"]
    assert STATEMENT in lead["uco-core:description"]
    assert lead["clew:expires"]["@value"] > "2026"
    contacts = [n for n in graph if "clew:Sighting" in n["@type"]]
    assert {n["clew:clockErrorNs"] for n in contacts} == {CLOCK_ERROR}
    page = (folder / "data/summary.html").read_text()
    for words in (
        "caveat of first",
        "speaks against first",
        STATEMENT,
        build_mark(),
        "error at most 4.000 ms beside that",
        "5.000 milliseconds",
    ):
        assert words in page


def test_what_a_lead_does_not_know_yet_leaves_with_it(world: World) -> None:
    later = [world.sighting("192.0.2.1", 6881, kind=kind, run="later", sequence=n) for n, kind in
             enumerate(("contact", "control", "contact"), 1)]  # fmt: skip
    world.store("sightings", [*later, world.sighting("192.0.2.1", 1, run="later", sequence=4)], "observe")
    got = package(world)
    first, second = got.leads
    assert "called again, which it does not weigh: contacts 2, control probes 1, the last at " in first.against[-1]
    assert second.against == ("speaks against second",)
    assert "contacts and control probes that came since the leads were made, and are in none: 4" in got.not_covered
    with world.case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM ledger_openings")
    assert all("is not known" in lead.against[-1] for lead in package(world).leads)


def test_every_open_alarm_about_a_lead_leaves_with_it(world: World) -> None:
    lead, subject = world.leads["first"], hashlib.md5(b"subject first").hexdigest()
    alarms = [
        ("a", "lead", lead, "the first reason", 2, None), ("b", "subject", subject, "the <second>", 1, None),
        ("c", "lead", lead, "one that was closed", 3, 4), ("d", "lead", "other", "of another lead", 3, None),
    ]  # fmt: skip
    with world.case.write("review") as tx:
        sql = "INSERT INTO alarms (id, about_kind, about, reason, raised_ns, closed_ns, raised_by)"
        tx.executemany(f"{sql} VALUES (?,?,?,?,?,?,'r')", alarms)
    got = package(world)
    assert [each.child_at_risk for each in got.leads] == [("the <second>", "the first reason"), ()]
    made = world.build()
    page = (opened(world, made.path) / "data/summary.html").read_text()
    assert "the &lt;second&gt;. the first reason. Read this lead first" in page
    receiving = world.case_of("AT")
    receive(receiving, Path(made.path), keys_folder=world.keys)
    with closing(sqlite3.connect(receiving.folder / "received" / made.id / "store.db")) as conn:
        told = dict(conn.execute("SELECT id, child_at_risk FROM leads"))
    assert json.loads(told[lead]) == ["the <second>", "the first reason"]
    assert told[world.leads["second"]] is None
    receiving.close()


def test_a_lead_that_any_register_puts_into_this_forces_country_is_told_to_be_held_back(world: World) -> None:
    before = dict(package(world).withheld)[UNCERTAIN]
    said = [{"name": "one", "country": "DE"}, {"name": "two", "country": "AT"}, {"name": "three", "country": None}]
    row = world.sighting("192.0.2.30", 6881)
    world.lead("between", [row], force=None, country="DE", uncertain=1, state="coordinator", lookups=json.dumps(said))
    assert dict(package(world).withheld)[UNCERTAIN] == before + 1
    assert dict(package(world, "DE").withheld) == {UNCERTAIN: 1}


def test_the_kind_of_network_is_said_in_words(world: World) -> None:
    said, rows = [{"name": "one", "country": "AT", "kind": "tor"}], [world.sighting("192.0.2.30", 6881) for _ in "12"]
    world.lead("of an exit", rows, network_kind="tor", lookups=json.dumps(said))
    world.store("sightings", rows, "observe")
    page = (opened(world, world.build().path) / "data/summary.html").read_text()
    assert "AT; kind of network: exit of the Tor network<br>" in page
    assert "one of unknown date: AT, kind of network: exit of the Tor network" in page


def test_only_decisions_of_people_that_stand_become_known_hashes(world: World) -> None:
    """A proposal, an undone grade and a rejected one never leave. Read by a small reader that is not ours."""
    folder = opened(world, world.build().path)
    raw = (folder / "data/known-hashes.vics.json").read_bytes()
    assert list(json.loads(raw)) == ["@odata.context", "value"]
    media = list(ijson.items(io.BytesIO(raw), "value.item"))
    assert {m["MD5"]: m["Category"] for m in media} == {
        hashlib.md5(b"one").hexdigest().upper(): 1,
        hashlib.md5(b"two").hexdigest().upper(): 2,
    }
    assert next(ijson.items(io.BytesIO(raw), "@odata.context")).endswith("/2.0.xml/US/$metadata#Media")
    assert all(m["IsPrecategorized"] is False and "country US" in m["Comments"] for m in media)


def test_infohashes_lie_in_the_sealed_annex_alone(world: World) -> None:
    folder = opened(world, world.build().path)
    inside = 0
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for secret in (V1, V2, V2[:20]):
                assert secret not in data
                assert secret.hex().encode() not in data.lower()
    annex = world.folder / "annex"
    annex.mkdir()
    identity = pyrage.x25519.Identity.from_str(world.identity("AT"))
    ustar.unpack(
        io.BytesIO(pyrage.decrypt((folder / "data/annex.age").read_bytes(), [identity])), annex, ustar.Limits()
    )
    assert json.loads((annex / "watches.json").read_bytes())["W-1"]["infohash_v1"] == V1.hex()
    for line in (folder / "data/evidence/sightings.jsonl").read_bytes().splitlines():
        facts = json.loads(line)
        raw = (annex / "transcripts" / f"{facts['id']}.bin").read_bytes()
        assert V1 in raw
        inside += 1
    assert inside == 4


def test_a_peer_that_calls_itself_by_an_infohash_keeps_no_bundle_from_being_built(world: World) -> None:
    rows = [
        world.sighting("192.0.2.20", 6881, client=f"x {V1.hex().upper()}", peer_id=V2[:20]),
        world.sighting("192.0.2.20", 6881),
    ]
    world.lead("odd", rows)
    world.store("sightings", rows, "observe")
    made = world.build()
    folder = opened(world, made.path)
    lines = (folder / "data/evidence/sightings.jsonl").read_text()
    assert lines.count("left out: it holds an infohash") == 2
    assert V1.hex() not in lines.lower()
    assert V2[:20].hex() not in lines


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pex://203.0.113.5:51413", "pex"),
        ("dht://[2001:db8::5]:6881", "dht"),
        ("http://tracker.example:6969/0123456789/announce?passkey=secret", "http://tracker.example:6969"),
        ("http://tracker.example?passkey=secret", "http://tracker.example"),
        ("http://somebody:secret@tracker.example/announce", "http://tracker.example"),
        ("udp://[2001:db8::7]:6969", "udp://[2001:db8::7]:6969"),
    ],
)
def test_whoever_listed_a_lead_is_named_without_another_endpoint_or_a_secret(
    world: World, source: str, told: str
) -> None:
    """A node or peer that told of it is on no lead of this force's; not even the annex names it."""
    rows = [world.sighting("192.0.2.20", 6881, source=source), world.sighting("192.0.2.20", 6881, source=source)]
    world.lead("told of", rows)
    world.store("sightings", rows, "observe")
    folder = opened(world, world.build().path)
    annex = pyrage.decrypt(
        (folder / "data/annex.age").read_bytes(), [pyrage.x25519.Identity.from_str(world.identity("AT"))]
    )
    lines = [json.loads(line) for line in (folder / "data/evidence/sightings.jsonl").read_bytes().splitlines()]
    assert [line["source"] for line in lines if line["address"] == "192.0.2.20"] == [told, told]
    hidden = source.partition("://")[2] if told in ("pex", "dht") else "secret"
    for data in (annex, *(path.read_bytes() for path in folder.rglob("*") if path.is_file())):
        assert hidden.encode() not in data


def test_an_infohash_in_what_was_not_covered_keeps_no_bundle_from_being_built(world: World) -> None:
    """A tracker's own words may stand there."""
    told = json.dumps({"limits": {f"not read: refused: <b>{V1.hex()}": 1, "not read: refused: <i>\u202e": 1}})
    with world.case.write("observe") as tx:
        sql = "INSERT INTO observe_runs (id, started_ns, ended_ns, config, vantage, mandate, coverage) VALUES"
        tx.execute(f"{sql} ('r', 0, 1, '', 'v', 'm', ?)", (told,))
    page = (opened(world, world.build().path) / "data/summary.html").read_text()
    assert "left out: it holds an infohash" in page
    assert "not read: refused: &lt;i&gt;\ufffd" in page


def test_a_plugin_that_lets_an_infohash_out_stops_the_bundle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leak:
        name, filename, examples = "leak", "leak.txt", ()

        def export(self, package):
            yield b"x" * (1 << 20)
            yield b"see " + V1.hex().upper().encode()

    real = plugins.load_all(run.EXPORTERS)
    monkeypatch.setattr(run.plugins, "load_all", lambda _: real | {"leak": Leak()})
    with pytest.raises(Refused, match=r"leak\.txt"):
        world.build()
    assert list((world.folder / "out").iterdir()) == []
    assert world.case.read().execute("SELECT count(*) FROM bundles").fetchone()[0] == 0


def test_the_same_facts_give_the_same_bytes(world: World) -> None:
    """Apart from ids, times and encryption: with those given, a bag is the same to the byte."""
    key = keys.signing_key("EU", world.keys)
    point = checkpoint(world.case, key, "EU")
    trees = []
    for name in ("one", "two"):
        folder = world.folder / name
        (folder / "data").mkdir(parents=True)
        annex = world.folder / f"{name}.age"
        annex.write_bytes(b"stands for the encryption")
        lines = iter([row[0].encode() + b"\n" for row in world.case.read().execute("SELECT line FROM ledger")])
        run.write_bag(folder, package(world), point=point, lines=lines, annex_file=annex, key=key)
        trees.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]
    assert len(trees[0]) == 15


def test_without_a_mandate_nothing_is_shared(world: World) -> None:
    with pytest.raises(Refused, match="BE"):
        world.build("EU")
    assert not (world.folder / "out").exists()


def test_a_force_without_a_key_is_refused_with_a_hint(world: World) -> None:
    forces.add(world.case, Force("XX", "No key", "XX", None, None, None))
    with pytest.raises(Refused) as caught:
        world.build("XX")
    assert "clew force add" in caught.value.hint
    with pytest.raises(ClewError, match="XX"):
        run.build_all(world.case, out=world.folder / "all", key_name="EU", keys_folder=world.keys)
    assert not list((world.folder / "all").glob("*.age"))
    with pytest.raises(Usage):
        world.build("nobody")


def test_a_bundle_is_in_the_ledger_and_the_table_at_once(world: World) -> None:
    made = world.build()
    row = world.case.read().execute("SELECT * FROM bundles").fetchone()
    assert (row["id"], row["force"], bytes(row["sha256"])) == (made.id, "AT", made.sha256)
    last = world.case.read().execute("SELECT line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()[0]
    entry = json.loads(last)
    assert entry["action"] == "bundle.built"
    assert entry["counts"] == {"known_hashes": 2, "leads": 2, "sightings": 4, "taken_back": 0}
    assert "192.0.2" not in last


CRASH = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from clew.core.case import Case
from clew.share.run import build
case = Case.open(Path({case!r}))
build(case, force_code="AT", out=Path({out!r}), key_name="EU", keys_folder=Path({keys!r}))
"""


@pytest.mark.parametrize(("place", "recorded"), [("share.record.before", 0), ("share.record.after", 1)])
def test_a_crash_leaves_no_unrecorded_bundle(world: World, place: str, recorded: int) -> None:
    out = world.folder / "out"
    code = CRASH.format(
        tests=str(Path(__file__).parent), case=str(world.case.folder), out=str(out), keys=str(world.keys)
    )
    died = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={"CLEW_FAILPOINT": place, "PATH": ""}, check=False
    )
    assert died.returncode == -9
    with closing(sqlite3.connect(world.case.folder / "case.db")) as conn:
        assert conn.execute("SELECT count(*) FROM bundles").fetchone()[0] == recorded
    assert [p for p in out.iterdir() if not p.name.startswith(".")] == []
    fresh = Case.open(world.case.folder)
    try:
        replace(world, case=fresh).build()
        paths = {Path(row["path"]) for row in fresh.read().execute("SELECT path FROM bundles")}
    finally:
        fresh.close()
    assert paths == set(out.glob("*.age")), "each recorded bundle has its name, and no other is there"
    assert len(paths) == 1 + recorded
    assert not (world.case.folder / ".share").exists()
