"""What attribute reads of Sightings: each contact and control probe once, oldest first; what many say alike, once."""

from attribute_case import sight

from clew.attribute import evidence, merge

RUN = (
    "INSERT INTO observe_runs (id, started_ns, config, vantage, mandate, boot, steady_ns, number) "
    "VALUES (?, 0, '', '', '', 'boot', 1000, ?)"
)


def test_each_contact_is_read_once_and_oldest_first(case, put):
    rows = [sight(n, kind=kind) for n, kind in enumerate(("contact", "control", "contact", "listed"))]
    put(case, "sightings", rows[1:], "observe")
    put(case, "sightings", rows[:3], "observe")
    assert [each.id for each in evidence.read(case)] == ["s000", "s001", "s002"]
    put(case, "sightings", [sight(4, "127.10.1.2")], "observe")
    assert [each.id for each in evidence.read(case, "127.10.1.2")] == ["s004"]


def test_two_rows_of_one_id_that_differ_are_both_read(case, put):
    put(case, "sightings", [sight(0), sight(0, port=7000)], "observe")
    assert sorted(each.port for each in evidence.read(case)) == [6881, 7000]


def test_what_contacts_say_alike_is_held_once(case, put):
    said = {"peer_id": b"-TR4050-" + bytes(12), "run": "r" * 32, "infohash_sent": bytes(20), "repeats": "s" * 32}
    put(case, "sightings", [sight(0, **said)], "observe")
    put(case, "sightings", [sight(1, **said)], "observe")
    one, other = evidence.read(case)
    for name in (*said, "watch", "address", "port", "transport", "client"):
        assert getattr(one, name) is getattr(other, name), name


def test_a_run_that_began_while_contacts_were_read_is_known(case, put, monkeypatch):
    """Otherwise its contacts would come before those of every run with a number."""
    taken = evidence.shards.take

    def began(case, sql, make, parameters):
        with case.write("observe") as tx:
            tx.execute(RUN, ("later", 2))
        put(case, "sightings", [sight(1, run="later", sequence=1, monotonic_ns=5)], "observe")
        return taken(case, sql, make, parameters)

    with case.write("observe") as tx:
        tx.execute(RUN, ("first", 1))
    put(case, "sightings", [sight(0, run="first", sequence=1, monotonic_ns=9)], "observe")
    monkeypatch.setattr(evidence.shards, "take", began)
    found = merge.in_order(evidence.read(case))
    assert [(each.number, each.steady_ns) for each in found] == [(1, 1009), (2, 1005)]
