"""A Lead that left in a Bundle and does not stand any more: the sender knows it, and the next Bundle takes it back."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from remake import flip, remade
from share_world import DAY, World

from clew.cli.receive import _taken_back as words
from clew.core import forces, keys, mandate, sent
from clew.core.errors import Damaged
from clew.model import Bundle
from clew.share import manifest
from clew.share.api import Package
from clew.share.collect import collect
from clew.share.receive import Received, receive
from clew.share.verify import verify_bundle

BACK = manifest.TAKEN_BACK


def write(world: World, sql: str, *values: object, stage: str = "attribute") -> None:
    with world.case.write(stage) as tx:
        assert tx.execute(sql, values).rowcount


def package(world: World) -> Package:
    legal, force = mandate.require(world.case, purpose="share", at_ns=world.now), forces.get(world.case, "AT")
    return collect(world.case, force, bundle="b" * 32, now_ns=world.now, sender_key="5" * 64, legal=legal)


def received(world: World, made: Bundle, code: str = "AT") -> Received:
    case = world.case_of(code, f"case-{made.id}")
    try:
        return receive(case, Path(made.path), keys_folder=world.keys)
    finally:
        case.close()


def page(got: Received) -> str:
    return (got.folder / "bag" / "data" / "summary.html").read_text()


def moved(world: World) -> None:
    write(world, "UPDATE leads SET force = 'DE', country = 'DE' WHERE id = ?", world.leads["first"])


def unsure(world: World) -> None:
    write(
        world,
        "UPDATE leads SET force = NULL, state = 'coordinator', uncertain = 1 WHERE id = ?",
        world.leads["first"],
    )


def promiscuous(world: World) -> None:
    probe = world.sighting("192.0.2.1", 6881, kind="control", promiscuous=True)
    world.store("sightings", [probe], "observe")


def gone(world: World) -> None:
    write(world, "DELETE FROM leads WHERE id = ?", world.leads["first"])
    write(world, "DELETE FROM subject_intervals WHERE address = '192.0.2.1'")


def uncovered(world: World) -> None:
    write(world, "DELETE FROM leads WHERE id = ?", world.leads["first"])


def otherwise(world: World) -> None:
    write(world, "DELETE FROM leads WHERE id = ?", world.leads["first"])
    write(world, "UPDATE subject_intervals SET subject = 'another', to_ns = to_ns - 1 WHERE address = '192.0.2.1'")


def shorter(world: World) -> None:
    write(world, "UPDATE subject_intervals SET to_ns = to_ns - 1 WHERE address = '192.0.2.1'")


def hearsay(world: World) -> None:
    write(world, "UPDATE leads SET tier = 'E0' WHERE id = ?", world.leads["first"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (moved, "another force's: DE"), (unsure, sent.UNSURE), (promiscuous, sent.ANYTHING), (gone, sent.NONE),
        (uncovered, sent.UNCOVERED), (otherwise, sent.OTHERWISE), (shorter, sent.TIMES), (hearsay, "hearsay alone"),
    ],
)  # fmt: skip
def test_a_lead_that_does_not_stand_is_taken_back(world: World, change, why: str) -> None:
    made, lead = world.build(), world.leads["first"]
    assert (sent.changed(world.case), package(world).taken_back) == ([], ())
    change(world)
    (back,) = package(world).taken_back
    assert (back.lead, why in back.why, back.told) == (lead, True, False)
    assert [each.bundle for each in back.copies] == [made.id]
    assert [(each.address, each.port, each.transport) for each in back.intervals] == [("192.0.2.1", 6881, "tcp")]
    assert sent.changed(world.case) == [] if change is hearsay else [back]


def test_the_receivers_page_and_store_tell_it_first_and_each_later_bundle_tells_it_again(world: World) -> None:
    before, lead = world.build(), world.leads["first"]
    gone(world)
    for made in (world.build(), world.build()):
        got = received(world, made)
        assert got.taken_back
        assert {(each["lead"], each["why"]) for each in got.taken_back} == {(lead, sent.NONE)}
        text = page(got)
        assert text.index("<strong>Taken back") < text.index("In short") < text.index("Each lead")
        assert all(words in text for words in (lead, before.id, sent.NONE))
        with closing(sqlite3.connect(got.folder / "store.db")) as conn:
            (row,) = conn.execute("SELECT origin, lead, why, bundles FROM taken_back")
        assert (row[:3], json.loads(row[3])[0]["bundle"]) == ((made.id, lead, sent.NONE), before.id)
    assert all(each.told for each in sent.changed(world.case)), "the newest Bundle says so"
    bad = remade(world, made.path, flip(BACK))
    with pytest.raises(Damaged, match=BACK):
        verify_bundle(bad, sender_key=world.public("EU"), identity=world.identity("AT"))


def test_what_stands_or_expired_is_not_taken_back_and_what_comes_back_is_no_longer(world: World) -> None:
    world.build()
    write(world, "UPDATE leads SET state = 'expired', expires_ns = 1 WHERE id = ?", world.leads["second"])
    write(world, "UPDATE subject_intervals SET from_ns = from_ns - 1, to_ns = to_ns + 1 WHERE address = '192.0.2.1'")
    assert received(world, world.build()).taken_back == []
    moved(world)
    (back,) = received(world, world.build()).taken_back or []
    assert back["lead"] == world.leads["first"]
    write(world, "UPDATE leads SET force = 'AT', country = 'AT' WHERE id = ?", world.leads["first"])
    got = received(world, world.build())
    assert (got.taken_back, got.counts["leads"]) == ([], 1)


def test_leads_that_are_made_anew_meanwhile_are_not_read_half_from_before(world: World) -> None:
    world.build()
    lead, later = world.leads["first"], "f" * 32
    asked: list[str] = []

    def anew(statement: str) -> None:
        """As `attribute` does where an earlier contact came in: the same Subject under another id, and so its Lead."""
        asked.append(statement)
        if "FROM leads WHERE force = " in (asked[-2:-1] or [""])[0]:
            write(world, "UPDATE leads SET id = ?, subject = 'another' WHERE id = ?", later, lead)
            write(world, "UPDATE subject_intervals SET subject = 'another' WHERE address = '192.0.2.1'")

    world.case.read().set_trace_callback(anew)
    before = package(world)
    world.case.read().set_trace_callback(None)
    assert world.case.read().execute("SELECT 1 FROM leads WHERE id = ?", (later,)).fetchone(), "it was made anew"
    assert ({each.id for each in before.leads}, before.taken_back) == ({lead, world.leads["second"]}, ())
    after = package(world)
    assert {each.id for each in after.leads} == {later, world.leads["second"]}
    assert [(each.lead, each.why) for each in after.taken_back] == [(lead, f"it stands, as another lead: {later}")]


def test_what_the_sender_may_not_follow_any_further_is_told_in_words_of_its_own_until_it_expires(world: World) -> None:
    write(world, "UPDATE leads SET expires_ns = ? WHERE id = ?", world.now + DAY, world.leads["first"])
    world.build()
    uncovered(world)
    told = received(world, world.build())
    assert [each["why"] for each in told.taken_back or []] == [sent.UNCOVERED]
    said = words(told.taken_back)
    assert (
        said[0]
        == "NOT FOLLOWED ANY FURTHER, and no less true for that: 1 leads of earlier bundles; why, stands beside each"
    )
    assert not any("TAKEN BACK" in line for line in said)
    assert "<strong>Not followed any further: what earlier bundles gave you as 1 lead</strong>" in page(told)
    assert not any(words in page(told) for words in ("<strong>Taken back", "as it was given"))
    assert [each.why for each in sent.changed(world.case, now_ns=world.now + DAY - 1)] == [sent.UNCOVERED]
    world.now += DAY
    assert (package(world).taken_back, sent.changed(world.case, now_ns=world.now)) == ((), [])
    write(
        world, "UPDATE bundles SET leads = json_remove(leads, ?)", f"$.{world.leads['first']}.expires_ns", stage="share"
    )
    assert [each.why for each in package(world).taken_back] == [sent.UNCOVERED], "nobody kept until when it holds"


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ("force = 'AT'", f"it stands, as another lead: {'f' * 32}"), ("force = 'DE', country = 'DE'", "force's: DE"),
        ("force = NULL, uncertain = 1, state = 'coordinator'", sent.UNSURE), ("state = 'expired'", None),
        ("expires_ns = 1", None), (None, sent.UNCOVERED),
    ],
)  # fmt: skip
def test_of_a_lead_that_has_another_id_the_true_reason_is_told(world: World, now: str | None, why: str | None) -> None:
    world.build()
    lead = world.leads["first"]
    write(world, "UPDATE subject_intervals SET subject = 'another', from_ns = from_ns - 1 WHERE address = '192.0.2.1'")
    write(world, f"UPDATE leads SET id = ?, subject = 'another', {now or 'rank = 1'} WHERE id = ?", "f" * 32, lead)
    if now is None:
        write(world, "DELETE FROM leads WHERE id = ?", "f" * 32)
    back = package(world).taken_back
    assert [each.lead for each in back] == [lead] * (why is not None)
    assert all(str(why) in each.why for each in back)


def test_a_place_that_is_not_covered_and_is_counted_otherwise_is_not_called_as_true_as_before(world: World) -> None:
    world.build()
    uncovered(world)
    shorter(world)
    assert [each.why for each in package(world).taken_back] == [sent.OTHERWISE]


def test_the_force_that_gets_it_now_is_told_who_had_it(world: World) -> None:
    world.build()
    moved(world)
    got = received(world, world.build("DE"), "DE")
    assert "this lead left for another force before: AT, last on " in page(got)
    assert got.taken_back == []
    (back,) = sent.changed(world.case)
    assert (back.force, back.told) == ("AT", False)
    unsure(world)
    assert {(each.force, each.told) for each in sent.changed(world.case)} == {("AT", False), ("DE", False)}
    world.build()
    assert {(each.force, each.told) for each in sent.changed(world.case)} == {("AT", True), ("DE", False)}


def test_each_bundle_is_read_once_and_the_page_names_the_first_and_the_last_of_many(world: World) -> None:
    left, read = sent.Left(world.case), []
    made = [world.build()]
    (first, second) = left.all()
    write(world, "UPDATE subject_intervals SET to_ns = to_ns + 1 WHERE address = '192.0.2.1'")
    made += [world.build(), world.build("DE"), world.build()]
    world.case.read().set_trace_callback(read.append)
    assert left.all() == sent.Left(world.case).all()
    world.case.read().set_trace_callback(None)
    assert [each.split("checkpoint > ")[1].split()[0] == "-1" for each in read] == [False, True]
    assert (first.lead, [each.bundle for each in first.copies]) == (
        world.leads["first"],
        [made[n].id for n in (0, 1, 3)],
    )
    assert [each.to_ns for each in first.intervals] == [each.to_ns for each in package(world).leads[0].intervals]
    gone(world)
    got = received(world, world.build())
    assert [each["bundle"] for each in (got.taken_back or [])[0]["bundles"]] == [made[n].id for n in (0, 1, 3)]
    assert [made[n].id in page(got) for n in (0, 1, 3)] == [True, False, True]
    assert "the first and the last of 3 bundles that held it" in page(got)
    told = [(each.lead, each.told) for each in left.all() if each.force == "AT"]
    assert told == [(first.lead, sent.NONE), (second.lead, None)]


def test_what_left_and_what_was_taken_back_stands_in_the_ledger(world: World) -> None:
    world.build()
    gone(world)
    made = world.build()
    row = world.case.read().execute(
        "SELECT line, opening FROM ledger JOIN ledger_openings USING (seq) ORDER BY seq DESC"
    )
    line, opening = map(json.loads, row.fetchone())
    assert (line["action"], line["counts"]["taken_back"], line["counts"]["leads"]) == ("bundle.built", 1, 1)
    assert (opening["bundle"], opening["leads"]) == (made.id, [world.leads["second"]])
    assert opening["taken_back"] == {world.leads["first"]: sent.NONE}


def test_of_bundles_of_an_earlier_version_it_is_said_that_nobody_knows(world: World) -> None:
    world.build()
    write(world, "UPDATE bundles SET leads = NULL, taken_back = NULL", stage="share")
    gone(world)
    got = received(world, world.build())
    assert got.taken_back == []
    assert "of whose leads no list was kept, so that none of them is taken back by name: 1" in page(got)


def test_a_bundle_of_an_earlier_clew_opens_and_an_odd_list_does_not(world: World) -> None:
    key, path = keys.signing_key("EU", world.keys), world.build().path
    old = remade(world, path, lambda top: (top / BACK).unlink(), signer=key)
    assert (
        verify_bundle(old, sender_key=world.public("EU"), identity=world.identity("AT")).manifest.counts["leads"] == 2
    )
    case = world.case_of("AT")
    got = receive(case, old, keys_folder=world.keys)
    assert got.taken_back is None
    with closing(sqlite3.connect(got.folder / "store.db")) as conn:
        assert conn.execute("SELECT count(*) FROM taken_back").fetchone() == (0,)
    case.close()
    for text in ("{}\n", "[]\n", "x", '{"lead": 1, "why": 2, "bundles": [{}], "intervals": []}\n'):
        odd = remade(world, path, lambda top, t=text: (top / BACK).write_text(t), signer=key)
        fresh = world.case_of("AT", f"odd{world.numbers}")
        with pytest.raises(Damaged, match=BACK):
            receive(fresh, odd, keys_folder=world.keys)
        assert list((fresh.folder / "received").iterdir()) == []
        fresh.close()
