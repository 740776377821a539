"""Bundles that are received in another order than they were built in: the newest one counts, and is named."""

from pathlib import Path

from click.testing import CliRunner
from share_world import World

from clew.cli.main import cli
from clew.core import sent
from clew.share.receive import receive

GRADED = "SELECT DISTINCT content FROM standing_grades WHERE state IN ('decided', 'confirmed')"


def _gone(world: World) -> None:
    with world.case.write("attribute") as tx:
        tx.execute("DELETE FROM leads WHERE id = ?", (world.leads["first"],))
        tx.execute("DELETE FROM subject_intervals WHERE address = '192.0.2.1'")


def test_of_an_older_bundle_it_is_said_which_of_its_leads_a_newer_one_takes_back(world: World, monkeypatch) -> None:
    monkeypatch.setenv("CLEW_KEYS", str(world.keys))
    before, other = world.build(), world.build("DE")
    _gone(world)
    after = world.build()
    case, theirs = world.case_of("AT"), world.case_of("DE")
    assert receive(case, Path(after.path), keys_folder=world.keys).newer is None
    assert receive(theirs, Path(other.path), keys_folder=world.keys).newer is None
    for new in (True, False):
        got = receive(case, Path(before.path), keys_folder=world.keys)
        assert got.newer is not None
        assert (got.new, got.newer.id, got.taken_back) == (new, after.id, [])
        assert [(each["lead"], each["why"]) for each in got.newer.taken_back or []] == [
            (world.leads["first"], sent.NONE)
        ]
    done = CliRunner().invoke(cli, ["receive", str(case.folder), before.path], catch_exceptions=False)
    lines = done.output.splitlines()
    assert lines[0].startswith(f"NOT THE NEWEST: bundle {after.id} ")
    assert lines[1].startswith("TAKEN BACK: 1 leads of earlier bundles")
    assert f"Lead 1 of {before.id}" in lines[2]
    (first,) = (line for line in lines if line.startswith("read first: "))
    assert first.index(after.id) < first.index(before.id)
    assert "hashset add" not in done.output, "a grade may have been undone since"
    done = CliRunner().invoke(cli, ["bundle", str(case.folder)], catch_exceptions=False)
    told = [line.partition("  (")[2] for line in done.output.splitlines()]
    assert told == ["", f"not the newest: bundle {after.id} of the same case is)"]
    for each in (case, theirs):
        each.close()


def test_a_newer_one_names_only_what_it_takes_back_of_this_one(world: World) -> None:
    first = world.build()
    _gone(world)
    second, third = world.build(), world.build()
    case = world.case_of("AT")
    for made, back in ((third, None), (second, []), (first, [world.leads["first"]])):
        newer = receive(case, Path(made.path), keys_folder=world.keys).newer
        assert (newer and [each["lead"] for each in newer.taken_back or []]) == back
    case.close()


def test_a_grade_of_the_bundle_before_that_does_not_stand_is_named(world: World, monkeypatch) -> None:
    monkeypatch.setenv("CLEW_KEYS", str(world.keys))
    before = world.build()
    again = world.build()
    (first, second) = sorted(row["content"] for row in world.case.read().execute(GRADED))
    with world.case.write("review") as tx:
        tx.execute("UPDATE grades SET state = 'proposed' WHERE content = ?", (first,))
        tx.execute("UPDATE grades SET code = '9' WHERE content = ?", (second,))
    after = world.build()
    case = world.case_of("AT")
    for made in (before, again):
        assert receive(case, Path(made.path), keys_folder=world.keys).regraded == []
    for _ in range(2):
        found = receive(case, Path(after.path), keys_folder=world.keys).regraded
        assert [(each.bundle, each.sha256) for each in found] == [(again.id, first.hex()), (again.id, second.hex())]
        assert found[0].now is None
        assert (found[1].was == found[1].now, str(found[1].now)[:2]) == (False, "9 ")
    assert receive(case, Path(before.path), keys_folder=world.keys).regraded == [], "the newest alone counts"
    done = CliRunner().invoke(cli, ["receive", str(case.folder), after.path], catch_exceptions=False)
    assert f"GRADED OTHERWISE OR NO MORE: 2 hashes of the bundle {again.id}" in done.output
    assert f"  {first.hex()}: was {found[0].was}; now the sender states no grade of it any more" in done.output
    case.close()
