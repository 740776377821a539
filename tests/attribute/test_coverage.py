"""The coverage statement: from where, when not, what share could be contacted, over what; and no estimate."""

import json

import pytest
from lead_case import HOUR, claims, contact, lead_case

from clew.core import clock, coverage, interruptions
from clew.core.clock import Instant
from clew.observe.gaps import NO_IPV6, NO_NETWORK, STOOD_STILL, Gaps
from clew.share.coverage import not_covered

T0 = 1_790_000_000_000_000_000
TURN = HOUR // 120  # how often a run looks at its clock here


def observed(case, runs, endpoints=(), dials=(), quiet=(22, 6)):
    """`runs` are (from, to or None) in hours, the first with quiet hours; `endpoints` (address, tier, why); `dials`
    (run, hours, state).
    """
    with case.write("observe") as tx:
        for n, (start, end) in enumerate(runs):
            tx.execute(
                "INSERT INTO observe_runs (id, number, started_ns, ended_ns, config, vantage, mandate) "
                "VALUES (?,?,?,?,?,?,?)",
                (f"r{n}", n + 1, T0 + int(start * HOUR), None if end is None else T0 + int(end * HOUR),
                 json.dumps({"quiet_hours": quiet if n == 0 else None}), "Vienna", "m"),
            )  # fmt: skip
        for n, (address, tier, why) in enumerate(endpoints):
            tx.execute(
                "INSERT INTO endpoints (id, watch, address, port, first_listed_ns, last_listed_ns, source, tier, "
                "last_failure) VALUES (?,?,?,?,?,?,?,?,?)",
                (n, f"w{n}", address, 6881, T0, T0, "http://127.1.0.1:6969/secretpasskey/announce", tier, why),
            )
        for n, (run, at, state) in enumerate(dials):
            tx.execute(
                "INSERT INTO dials VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (f"d{n}", run, 1, "w", "127.10.1.1", 1, "contact", "tcp", T0 + int(at * HOUR), state, None, None),
            )


def spans(found):
    """Its gaps, from and to in hours."""
    return [((g.from_ns - T0) / HOUR, (g.to_ns - T0) / HOUR) for g in found.interruptions.gaps]


class Clock:
    """A machine's clock, which goes on by hours and may be set. `gaps` are what the observer makes of it."""

    def __init__(self, at):
        self.utc, self.mono, self.gaps = T0 + int(at * HOUR), 0, Gaps()
        self.gaps.look(self.now)

    @property
    def now(self):
        return Instant(self.utc, self.mono)

    def call(self, hours=0.25, *, step=0.0, missing=None):
        """A call that takes so long, over which the clock is set."""
        began, self.utc = self.now, self.utc + int(step * HOUR)
        for _ in range(int(hours * HOUR) // TURN):
            self.turn(TURN)
        self.gaps.call(began, self.now, missing)
        if missing is None:
            self.gaps.left(self.now)

    def turn(self, taken):
        """One turn of the run, after so long."""
        self.mono, self.utc = self.mono + taken, self.utc + taken
        self.gaps.look(self.now)

    def keep(self, case, run):
        """As `observe.keeping` does."""
        with case.write("observe") as tx:
            tx.executemany("INSERT INTO observe_gaps VALUES (?,?,?,?)", [(run, *gap) for gap in self.gaps.take()])


def test_nothing_was_observed(case):
    found = coverage.read(case)
    assert (found.runs, found.listed, found.share, found.interruptions.gaps) == (0, 0, None, ())
    assert "no network was observed in this case" in found.sentences()


def test_gaps_are_named_from_and_to(case):
    observed(case, [(0, 4), (6, 8), (8, 12), (12.5, 13)])
    found = coverage.read(case)
    assert spans(found) == [(4, 6), (12, 12.5)]
    assert [g.name for g in found.interruptions.gaps] == ["gap 1", "gap 2"]
    assert found.interruptions.downtime_ns == int(2.5 * HOUR)
    assert any(line.startswith(f"gap 1: nobody watched from {clock.iso(T0 + 4 * HOUR)}") for line in found.sentences())
    assert found.quiet_hours == ("22:00 to 06:00 UTC",)
    assert found.vantages == ("Vienna",)


def test_who_has_quiet_hours_did_not_watch_all_the_time(case):
    observed(case, [(0, 4)])
    said = list(coverage.read(case).sentences())
    assert "quiet hours in which nobody was called: 22:00 to 06:00 UTC" in said
    assert not [line for line in said if "all the time" in line]


def test_a_run_that_was_killed_ended_with_its_last_dial(case):
    observed(case, [(0, None), (5, 6)], dials=[("r0", 3, "interrupted"), ("r0", 1, "done")])
    found = coverage.read(case)
    assert spans(found) == [(3, 5)]
    assert found.interrupted == 1


@pytest.mark.parametrize("kind", ["announce stopped", "announce", "control"])
def test_only_contacts_that_were_interrupted_are_called_so(case, kind):
    observed(case, [(0, 1)], dials=[("r0", n / 10, "interrupted") for n in range(3)])
    with case.write("observe") as tx:
        tx.execute("UPDATE dials SET kind=? WHERE id <> 'd0'", (kind,))
    said = list(coverage.read(case).sentences())
    assert "contacts that were interrupted, and are not counted: 1" in said
    assert "control probes and questions who is there that were interrupted: 2" in said


def test_gaps_inside_a_run_are_named_with_their_reason(case):
    observed(case, [(0, 10), (11, 12)])
    machine = Clock(2)
    for _ in range(4):
        machine.call(missing=NO_NETWORK)
    machine.call()
    machine.gaps.add(Instant(T0 + int(2.5 * HOUR), HOUR // 2), Instant(0, 3 * HOUR // 2), "nobody was heard")
    machine.keep(case, "r0")
    found = coverage.read(case)
    assert [(g.name, g.why) for g in found.interruptions.gaps] == [
        ("gap 1", "this machine had no network"), ("gap 2", "nobody was heard"), ("gap 3", "no run was under way")
    ]  # fmt: skip
    assert spans(found) == [(2, 3.25), (2.5, 3.5), (10, 11)]
    assert found.interruptions.downtime_ns == int(2.5 * HOUR), "what overlaps counts once"


@pytest.mark.parametrize(("step", "words"), [(1, "3600.000 s forward"), (-1, "3600.000 s back")])
def test_a_clock_that_was_set_is_no_time_in_which_nobody_watched(case, step, words):
    observed(case, [(0, 10)], quiet=None)
    machine = Clock(2)
    machine.call(0)
    machine.call(0.25, step=step)
    machine.call()
    machine.keep(case, "r0")
    found = coverage.read(case)
    assert found.interruptions.gaps == ()
    assert found.interruptions.downtime_ns == 0
    before, after = clock.iso(T0 + 2 * HOUR), clock.iso(T0 + int((2 + step) * HOUR) + TURN)
    while_, but = ("a run", interruptions.PAUSED) if step > 0 else ("watching", "")
    line = f"the clock was set {words} while {while_} went on: it read {before}, then {after}{but}"
    assert line in list(found.sentences())
    assert not [each for each in found.sentences() if "nobody watched" in each.removesuffix(but)]
    assert ("somebody watched all the time" in " ".join(found.sentences())) == (step < 0)
    told = found.as_dict()
    assert (told["downtime_seconds"], told["gaps"]) == (0, [])
    assert told["clock_set"] == [{"from": before, "to": after, "why": f"the clock was set {words}"}]


def test_a_machine_that_was_suspended_watched_nobody(case):
    """Its clocks went on meanwhile, both of them."""
    observed(case, [(0, 12)])
    machine = Clock(2)
    machine.call()
    machine.turn(8 * HOUR)
    machine.call()
    machine.keep(case, "r0")
    found = coverage.read(case)
    assert spans(found) == [(2.25, 10.25)]
    assert [gap.why for gap in found.interruptions.gaps] == [STOOD_STILL]
    assert found.interruptions.downtime_ns == 8 * HOUR
    assert found.interruptions.clock_set == ()
    assert "somebody watched all the time between the first and the last of it" not in found.sentences()


def test_a_clock_set_while_there_was_no_network_neither_hides_nor_stretches_that(case):
    observed(case, [(0, 10)])
    machine = Clock(2)
    for step in (0, 1, -2):
        machine.call(missing=NO_NETWORK, step=step)
    machine.call()
    machine.keep(case, "r0")
    found = coverage.read(case).interruptions
    assert [(g.to_ns - g.from_ns, g.why) for g in found.gaps] == [(HOUR, NO_NETWORK.detail)]
    assert found.downtime_ns == HOUR
    assert len(found.clock_set) == 2


def test_a_clock_set_back_between_two_runs_hides_no_gap(case):
    """By the clock the second run began before the first one ended, and the third while it still went on."""
    observed(case, [(0, 4), (3.5, 3.6), (3.8, 5)])
    found = coverage.read(case)
    assert sorted(spans(found)) == [(3.6, 3.8), (4, 3.5)]
    assert found.interruptions.downtime_ns == pytest.approx(0.2 * HOUR)
    (line,) = [each for each in found.sentences() if "not known" in each]
    assert line.endswith("(how long is not known: the clock was set back in it): no run was under way")
    assert "-" not in line.partition("(")[2]


def test_the_share_that_could_be_contacted_is_of_addresses_with_port(case):
    places = [("127.10.1.1", "E2", None), ("127.10.1.1", "E0", None), ("127.10.1.2", "E0", "unreadable: refused"),
              ("127.10.1.3", "E0", None), ("127.10.1.4", "E1", None)]  # fmt: skip
    observed(case, [(0, 1)], places)
    found = coverage.read(case)
    assert (found.listed, found.contacted, found.share) == (4, 2, 0.5)
    assert dict(found.not_contacted) == {"unreadable: refused": 1, "not called yet": 1}
    assert any("2 of 4 listed addresses with port (50.0%)" in line for line in found.sentences())


def test_sources_are_told_by_kind_without_a_trackers_secret(case):
    observed(case, [(0, 1)], [("127.10.1.1", "E0", None)])
    found = coverage.read(case)
    assert found.sources == ("HTTP trackers",)
    assert "secretpasskey" not in json.dumps(found.as_dict())


def test_sources_that_are_endpoints_themselves_are_told_by_kind(case):
    observed(case, [(0, 1)], [("127.10.1.1", "E0", None), ("127.10.1.2", "E0", None)])
    with case.write("observe") as tx:
        tx.execute("UPDATE endpoints SET source='pex://192.0.2.5:51413' WHERE id=0")
        tx.execute("UPDATE endpoints SET source='dht://[2001:db8::5]:6881' WHERE id=1")
    assert coverage.read(case).sources == ("dht", "pex")


def test_what_a_mandate_refused_is_told_without_address_and_passkey(case):
    refused = "refused: no Mandate covers this: Mandate 0123abcd: the address 192.0.2.9 is out of scope"
    other = "refused: no Mandate covers this: Mandate 0123abcd: the tracker 'http://t/secretpasskey' is out of scope"
    observed(case, [(0, 1)], [("192.0.2.9", "E0", refused), ("192.0.2.8", "E0", other)])
    assert coverage.read(case).not_contacted == (("refused: no Mandate covers this", 2),)


def test_networks_and_transports_are_those_of_contacts(case, tmp_path):
    silent = contact(9, 3, transport="mse/tcp", tier="E0", claim="nothing said", client=None, peer_id=None)
    lead_case(case, tmp_path, [*claims(), silent])
    found = coverage.read(case)
    assert found.networks == ("bittorrent",)
    assert found.transports == (("mse-rc4/tcp", 2, 2), ("mse/tcp", 1, 0))
    assert json.loads(json.dumps(found.as_dict()))["share_contacted"] is None


def test_what_limits_kept_runs_from_is_told(case):
    observed(case, [(0, 1), (2, 3), (4, None)])
    with case.write("observe") as tx:
        for run, count in (("r0", 2), ("r1", 3)):
            told = json.dumps({"limits": {"lookup ended by its size": count}})
            tx.execute("UPDATE observe_runs SET coverage=? WHERE id=?", (told, run))
    found = coverage.read(case)
    assert found.left_aside == (("lookup ended by its size", 5),)
    assert "left aside while asking who is there: 5 (lookup ended by its size)" in found.sentences()


def test_that_failed_contacts_are_forgotten_is_said_beside_their_number(case, tmp_path):
    lead_case(case, tmp_path, claims())
    assert any(
        line.startswith("contacts with who never answered are forgotten") for line in coverage.read(case).sentences()
    )


@pytest.mark.parametrize("listed", [[], [("127.10.1.1", "E0", None)]])
def test_there_is_no_estimate_of_the_unseen(case, listed):
    observed(case, [(0, 1)], listed)
    assert coverage.read(case).as_dict()["unseen"] == coverage.UNSEEN
    assert coverage.UNSEEN.startswith("no estimate")


def test_of_many_gaps_the_longest_are_named_and_the_others_counted():
    """A timer that starts a run each hour leaves some two thousand in three months, on each page about a lead."""
    tenths = [(1, interruptions.NO_RUN)] * 2_000 + [(100, NO_NETWORK.detail), (-1, interruptions.NO_RUN)]
    spans = [(T0 + n * HOUR, T0 + n * HOUR + long * HOUR // 10, why) for n, (long, why) in enumerate(tenths)]
    gaps = tuple(interruptions.Gap(f"gap {n}", *each) for n, each in enumerate(spans, 1))
    *named, others = interruptions.Interruptions(gaps).sentences()
    assert named == list(map(str, (*gaps[: interruptions.NAMED - 2], *gaps[-2:]))), (
        "one of unknown length is no short one"
    )
    left = len(gaps) - interruptions.NAMED
    counted = f"{left} more gaps, of 0.10 h or less each, {left / 10:.2f} h in all: {interruptions.NO_RUN}"
    assert others == f"{counted}; {interruptions.ALL_OF_THEM}"
    few = interruptions.Interruptions(gaps[: interruptions.NAMED])
    assert list(few.sentences()) == list(map(str, few.gaps))


def test_times_without_ipv6_alone_are_not_named_in_the_place_of_times_without_anybody():
    """A machine that never had it, and a timer: one of an hour for each run."""
    spans = [(T0 + n * HOUR, T0 + (n + 1) * HOUR, NO_IPV6.detail) for n in range(interruptions.NAMED)]
    spans.append((T0 + HOUR // 2, T0 + HOUR, NO_NETWORK.detail))
    found = interruptions.Interruptions(tuple(interruptions.Gap(f"gap {n}", *each) for n, each in enumerate(spans, 1)))
    *named, others = found.sentences()
    assert [line for line in named if "nobody watched from" in line] == [str(found.gaps[-1])]
    assert named[0].startswith("gap 1: nobody was called over IPv6 from ")
    assert others.startswith("1 more gaps, of 1.00 h or less each")
    assert NO_IPV6.detail in others
    assert found.downtime_ns == HOUR // 2


def test_a_bundle_and_json_name_every_gap(case):
    runs = 3 * interruptions.NAMED
    observed(case, [(n, n + 0.5) for n in range(runs)])
    found = coverage.read(case)
    assert sum("nobody watched from" in line for line in found.sentences()) == interruptions.NAMED
    assert sum("nobody watched from" in line for line in found.sentences(every_gap=True)) == runs - 1
    assert len(found.as_dict()["gaps"]) == runs - 1
    assert sum("nobody watched from" in line for line in not_covered(case, ())) == runs - 1
