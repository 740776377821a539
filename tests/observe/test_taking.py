"""A file of others in the case: Sightings of a kind of their own, once, counted by nobody, and never a payload."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from capture_files import ALL, CANARY, INFOHASH, START, THEIRS, A, B, Flow, hello, leech_and_seed, pcap, piece
from click.testing import CliRunner
from observe_case import watch_body

from clew.attribute import evidence
from clew.cli.main import cli
from clew.core import shards, verify
from clew.core.case import Case
from clew.core.channel import Reply
from clew.core.errors import ClewError, Damaged, Held, Refused, Usage
from clew.core.lease import lease
from clew.core.mandate import sign_document
from clew.core.watch import add
from clew.model import Missing, Reason
from clew.observe import taking
from clew.observe.captures import pcap as pcap_reader
from clew.observe.captures._carry import read_finding
from clew.observe.handed import Given
from clew.observe.replay import replay
from clew.observe.taken import Watchlist
from clew.observe.taking import take, watched
from clew.observe.told import all_of
from clew.range.canary import canary_bytes

SECONDS = 10**9


def body(**other: Any) -> dict[str, Any]:
    return watch_body(1, infohash_v1=INFOHASH.hex(), pieces=20, **other)


@pytest.fixture
def watching(make_case: Any) -> Case:
    return make_case(body())


def given(path: Path, data: bytes, label: str = "C-1") -> Given:
    path.write_bytes(data)
    return Given(path, label, "Insp. Gruber", "a tap in Graz")


def twice(seconds: float) -> bytes:
    """The same seeder greeted and claiming twice, so many seconds apart."""
    second = leech_and_seed(Flow(A, B, at_ns=START + int(seconds * SECONDS), isn=(5, 6)))
    return pcap([*leech_and_seed(Flow(A, B)).packets, *second.packets])


def rows(case: Case) -> list[dict[str, Any]]:
    return shards.query(case, "SELECT * FROM sightings ORDER BY started_ns, address").to_pylist()


def test_a_capture_becomes_sightings_that_no_lead_rests_on(watching: Case, tmp_path: Path) -> None:
    made = take(watching, given(tmp_path / "tap.pcap", twice(301)))
    found = rows(watching)
    assert {row["kind"] for row in found} == {"captured"}
    seeder = [row for row in found if row["address"] == B[0]]
    assert [row["tier"] for row in seeder] == ["E1", "E2"]
    assert seeder[1]["repeats"] == seeder[0]["id"]
    assert {(row["local_address"], row["local_port"]) for row in seeder} == {A}
    assert all(row["clock_error_ns"] is None for row in found)
    assert all(row["vantage"] == "a tap in Graz" for row in found)
    assert all(row["source"].startswith(f"capture {made.sha256}: ") for row in found)
    assert list(evidence.read(watching)) == [], "attribution does not even read them"
    assert canary_bytes(watching.folder, CANARY) == 0
    assert made.flaws == []
    assert replay(watching).as_dict()["not_derived"] == {"recorded by others, read by other rules": 4}
    verify.verify_case(watching)


def test_claims_closer_than_five_minutes_are_one(watching: Case, tmp_path: Path) -> None:
    take(watching, given(tmp_path / "tap.pcap", twice(299)))
    assert {row["tier"] for row in rows(watching)} == {"E1"}


def test_a_shorter_interval_holds_on_loopback_alone(watching: Case, tmp_path: Path) -> None:
    take(watching, given(tmp_path / "a", twice(2)), interval=1)
    assert "E2" in {row["tier"] for row in rows(watching)}
    far = (("198.51.100.1", 40_001), ("198.51.100.2", 6_881))
    second = leech_and_seed(Flow(*far, at_ns=START + 2 * SECONDS, isn=(5, 6)))
    take(watching, given(tmp_path / "b", pcap([*leech_and_seed(Flow(*far)).packets, *second.packets])), interval=1)
    assert {row["tier"] for row in rows(watching) if row["address"].startswith("198")} == {"E1"}


def test_the_same_file_again_adds_nothing_but_for_a_new_watch(make_case: Any, authority: Any, tmp_path: Path) -> None:
    case = make_case(watch_body(2))
    file = given(tmp_path / "tap.pcap", twice(301))
    assert take(case, file).tiers == {}
    add(case, sign_document("watch", body(), authority))
    first = take(case, file)
    assert sum(first.tiers.values()) == 4
    before = rows(case)
    again = take(case, file)
    assert again.again
    assert (again.id, again.counts) == (first.id, first.counts)
    assert rows(case) == before
    assert [each["watches"] for each in all_of(case)] == [[f"{2:032x}"], [f"{1:032x}"]]


@pytest.mark.parametrize("where", ["observe.receipt.before", "shards.write.renamed", "observe.receipt.inside"])
def test_killed_anywhere_and_run_again_it_is_there_once(watching: Case, tmp_path: Path, where: str) -> None:
    file = given(tmp_path / "tap.pcap", twice(301))
    command = [sys.executable, "-m", "clew.cli.main", "capture", "import", str(watching.folder), str(file.path)]
    command += ["--label", "C-1", "--by", "x", "--vantage", "y", "--json"]
    code = f"import sys; from clew.cli.main import main; main({command[3:]!r})"
    died = subprocess.run([sys.executable, "-c", code], env=os.environ | {"CLEW_FAILPOINT": where}, check=False)
    assert died.returncode == -9
    assert rows(watching) == []
    assert all_of(watching) == []
    assert sum(take(watching, file).tiers.values()) == 4
    assert len(rows(watching)) == 4
    verify.verify_case(watching)


def test_a_file_that_is_cut_short_gives_what_it_holds_and_says_so(watching: Case, tmp_path: Path) -> None:
    data = twice(301)
    made = take(watching, given(tmp_path / "tap.pcap", data[:-30]))
    assert any("cut short" in flaw for flaw in made.flaws)
    assert len(rows(watching)) == 4


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    watching: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = given(tmp_path / "tap.pcap", twice(1))
    hear = taking._Reading.hear

    def meanwhile(reading: Any, outcome: Any) -> None:
        file.path.write_bytes(b"other bytes")
        hear(reading, outcome)

    monkeypatch.setattr(taking._Reading, "hear", meanwhile)
    with pytest.raises(ClewError, match="changed"):
        take(watching, file)
    assert rows(watching) == []


def test_a_reader_that_dies_is_said(watching: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "LIMITS", replace(taking.LIMITS, output=100))
    made = take(watching, given(tmp_path / "tap.pcap", twice(1)))
    assert any("not read to its end" in flaw for flaw in made.flaws)
    assert all_of(watching)[0]["flaws"] == made.flaws


def first_two(outcome: Any) -> Any:
    """What a reader told, as if it had found no more than two."""
    kept = Reply({"findings": outcome.reply.value["findings"][:2]}, outcome.reply.blobs[:2])
    return replace(outcome, reply=kept)


def test_a_reading_that_broke_off_is_made_up_for_and_nothing_is_doubled(
    watching: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = given(tmp_path / "tap.pcap", twice(301))
    hear = taking._Reading.hear

    def breaks_off(reading: Any, outcome: Any) -> None:
        """The worker ends after the first of two conversations was told."""
        if "findings" in outcome.reply.value:
            hear(reading, first_two(outcome))
        else:
            hear(reading, replace(outcome, reply=Missing(Reason.LIMIT_REACHED, "memory")))

    monkeypatch.setattr(taking._Reading, "hear", breaks_off)
    assert take(watching, file).flaws == ["limit reached: the file was not read to its end: memory"]
    first = rows(watching)
    assert len(first) == 2
    monkeypatch.setattr(taking._Reading, "hear", hear)
    assert sum(take(watching, file).tiers.values()) == 2
    both = rows(watching)
    assert [row for row in both if row in first] == first
    assert {row["repeats"] for row in both if row["tier"] == "E2"} == {row["id"] for row in first}
    assert take(watching, file).again


def test_what_an_earlier_reader_read_is_read_again_and_nothing_is_doubled(
    watching: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers learn: what one found in a file a year ago is not all that its next version finds."""
    file = given(tmp_path / "tap.pcap", twice(301))
    hear = taking._Reading.hear

    def finds_less(reading: Any, outcome: Any) -> None:
        hear(reading, first_two(outcome) if "findings" in outcome.reply.value else outcome)

    monkeypatch.setattr(pcap_reader.Pcap, "version", "2")
    monkeypatch.setattr(taking._Reading, "hear", finds_less)
    assert sum(take(watching, file).tiers.values()) == 2
    assert take(watching, file).again
    first = rows(watching)
    monkeypatch.undo()
    assert take(watching, file).tiers == {"captured E2": 2}
    both = rows(watching)
    assert [row for row in both if row in first] == first
    assert {row["repeats"] for row in both if row["tier"] == "E2"} == {row["id"] for row in first}
    assert take(watching, file).again
    assert rows(watching) == both


def test_what_an_earlier_reader_understood_less_of_is_told_again(
    watching: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that did not read the answers' frames knew nobody to have answered: of the same times and endpoints."""
    file = given(tmp_path / "tap.pcap", twice(301))
    monkeypatch.setattr(pcap_reader.Pcap, "version", "2")
    monkeypatch.setattr(taking, "read_finding", lambda *told: replace(read_finding(*told), returned=False))
    assert take(watching, file).tiers == {"captured E0": 4}
    monkeypatch.undo()
    assert take(watching, file).tiers == {"captured E1": 2, "captured E2": 2}
    assert take(watching, file).again


def test_who_may_and_who_is_held(make_case: Any, tmp_path: Path) -> None:
    case = make_case(body(), exhibits=["C-2"])
    with pytest.raises(Refused):
        take(case, given(tmp_path / "a", twice(1)))
    file = given(tmp_path / "a", twice(1), "C-2")
    with lease(case, "observe", "bittorrent"), pytest.raises(Held):
        take(case, file)
    with pytest.raises(Usage):
        take(case, given(tmp_path / "b", b"nothing of the kind", "C-2"))
    take(case, file)


def test_the_verbs(watching: Case, tmp_path: Path) -> None:
    file = given(tmp_path / "tap.pcap", twice(301))
    words = ["--label", "C-1", "--by", "Insp. Gruber", "--vantage", "tap"]
    done = CliRunner().invoke(
        cli, ["capture", "import", str(watching.folder), str(file.path), *words], standalone_mode=False
    )
    assert done.return_value == 0, done.output
    assert "captured E2: 2" in done.output
    assert "No lead rests on these" in done.output
    again = CliRunner().invoke(
        cli, ["capture", "import", str(watching.folder), str(file.path), *words, "--json"], standalone_mode=False
    )
    assert json.loads(again.output)["again"] is True
    listed = CliRunner().invoke(cli, ["capture", "list", str(watching.folder), "--json"], standalone_mode=False)
    assert json.loads(listed.output)["captures"][0]["given_by"] == "Insp. Gruber"
    said = CliRunner().invoke(cli, ["capture", "show", str(watching.folder), "C-1"], standalone_mode=False).output
    assert f"E2 captured  W-1  {B[0]} port {B[1]} tcp  answered; claims: watched file" in said
    assert len(said.splitlines()) == 5
    name = next(row["id"] for row in rows(watching) if (row["tier"], row["address"]) == ("E2", B[0]))
    shown = CliRunner().invoke(cli, ["show", "sighting", str(watching.folder), name], standalone_mode=False)
    assert "bitfield of 3 bytes, 20 pieces claimed" in shown.output
    assert INFOHASH.hex() not in shown.output


LOG = b"""time,address,port,transport,infohash,watch,seen,tool,tool_version,note
2026-03-01T10:00:00.123456789Z,127.10.0.1,6881,tcp,,W-1,handshake and bitfield,Other,4.2,by hand
2026-03-01T10:00:01Z,127.10.0.2,6881,utp,%s,,"listed, by PEX",Other,4.2,
2026-03-01T10:00:02Z,127.10.0.3,6881,tcp,5353535353535353535353535353535353535353,,listed,Other,,
2026-03-01T10:00:02+02:00,127.10.0.4,6881,tcp,,W-1,listed,Other,,
2026-13-01T10:00:02Z,127.10.0.4,6881,tcp,,W-1,listed,Other,,
2026-03-01T10:00:02Z,127.10.0.400,6881,tcp,,W-1,listed,Other,,
2026-03-01T10:00:02Z,127.10.0.4,0,tcp,,W-1,listed,Other,,
2026-03-01T10:00:02Z,127.10.0.4,1,smtp,,W-1,listed,Other,,
2026-03-01T10:00:02Z,127.10.0.4,1,tcp,5353535353535353535353535353535353535353,W-1,listed,Other,,
2026-03-01T10:00:02Z,127.10.0.4,1,tcp,,W-1,listed,Other
2026-03-01T10:00:02Z,127.10.0.4,1,tcp,,W-1,,Other,,
8534-03-01T10:00:02Z,127.10.0.4,1,tcp,,W-1,listed,Other,,
2200-03-01T10:00:02Z,127.10.0.4,1,tcp,,W-1,listed,Other,,
"broken,127.10.0.4,1,tcp,,W-1,,Other,,
\xff
""" % (b"51" * 20)


def test_a_log_is_kept_as_what_it_is_and_bad_lines_are_named(watching: Case, tmp_path: Path) -> None:
    made = take(watching, given(tmp_path / "log.csv", LOG))
    found = rows(watching)
    assert [(r["kind"], r["tier"], r["address"], r["transport"], r["source"][-6:]) for r in found] == [
        ("imported", "E0", "127.10.0.1", "tcp", "line 2"), ("imported", "E0", "127.10.0.2", "utp", "line 3")
    ]  # fmt: skip
    assert found[0]["started_ns"] % SECONDS == 123_456_789
    assert found[0]["tool"].endswith("from csvlog 2, by Other 4.2")
    assert b"by hand" in found[0]["transcript"]
    assert made.counts["lines of torrents that are on no Watch"] == 1
    assert [flaw.split(": ")[1] for flaw in made.flaws] == [f"line {n}" for n in range(5, 17)]
    assert list(evidence.read(watching)) == []
    assert b"127.10.0.3" not in (watching.folder / "case.db").read_bytes()


def test_json_lines(watching: Case, tmp_path: Path) -> None:
    good = {"time": "2026-03-01T10:00:00Z", "address": "fd00::1", "port": 6881, "transport": "udp", "watch": "W-1",
            "seen": "listed", "tool": "Other"}  # fmt: skip
    lines = [json.dumps(each) for each in (good, good | {"more": "1"}, good | {"port": "x"}, good | {"note": 3}, [1])]
    lines += ['{"tool": "a", ' + lines[0][1:], "{" * 500]
    made = take(watching, given(tmp_path / "log", "\n".join(lines).encode()))
    assert [row["address"] for row in rows(watching)] == ["fd00::1"]
    assert len(made.flaws) == 6


def test_an_address_stands_in_a_log_in_more_than_one_way(watching: Case, tmp_path: Path) -> None:
    """Tools that listen for both families write IPv4 addresses as IPv6 ones; a zone may be any text."""
    heads, rest = "time,address,port,transport,watch,seen,tool\n2026-03-01T10:00:00Z,", ",6881,tcp,W-1,listed,Other\n"
    told = ("::ffff:198.51.100.7", "2001:DB8::0:7", "fe80::1%eth0")
    log = heads + f"{rest}2026-03-01T10:00:00Z,".join(told) + rest
    made = take(watching, given(tmp_path / "log.csv", log.encode()))
    assert {row["address"] for row in rows(watching)} == {"198.51.100.7", "2001:db8::7"}
    assert made.flaws == ["unparsable: line 4: an address that is none"]


def test_what_a_worker_says_is_checked(watching: Case) -> None:
    from clew.core.watch import all_of as watches

    one = watched(watches(watching)[0])
    good = {
        "kind": "captured", "watch": one.id, "source": "answered", "address": "127.0.0.1", "port": 1,
        "transport": "tcp",
        "other_address": "", "other_port": 0, "started_ns": 1, "ended_ns": 1, "infohash": INFOHASH.hex(),
        "returned": True, "tool": "",
    }  # fmt: skip
    said = {
        "answered": True, "claim": "watched file", "infohash_echoed": INFOHASH.hex(), "peer_id": THEIRS.hex(),
        "reserved": bytes(8).hex(), "client": "x", "listen_port": None, "pieces_claimed": 1, "inner_claimed": 1,
        "missing": None,
    }  # fmt: skip
    watchlist = Watchlist([one])
    assert read_finding(good | {"said": said}, b"", watchlist).contact is not None
    wrong = [
        {"kind": "contact"}, {"kind": "control"}, {"watch": "2" * 32}, {"address": "x"}, {"port": 0}, {"port": True},
        {"transport": "tls"}, {"started_ns": 0}, {"ended_ns": 0}, {"infohash": "00" * 20}, {"returned": 1},
        {"source": "a\nb"}, {"source": "a" * 200}, {"said": {}}, {"said": said | {"claim": "all"}},
        {"said": said | {"peer_id": None}}, {"said": said | {"infohash_echoed": "00" * 20}},
        {"said": said | {"reserved": "00"}}, {"said": said | {"missing": ["none", ""]}},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(Damaged):
            read_finding(good | each, b"", watchlist)
    with pytest.raises(Damaged):
        read_finding(good, b"no transcript", watchlist)


def test_a_payload_of_every_kind_stays_outside(watching: Case, tmp_path: Path) -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, b"-TR3000-aaaaaaaaaaaa") + piece(1)).say(1, hello(INFOHASH, THEIRS))
    flow.say(1, b"".join(bytes((0, 0, 0x10, 1, kind)) + CANARY[:4096] for kind in range(30, 256, 25)) + ALL)
    take(watching, given(tmp_path / "tap.pcap", pcap(flow.close().packets)))
    assert canary_bytes(watching.folder, CANARY) == 0
    assert [row["claim"] for row in rows(watching)] == ["nothing said", "watched file"]
