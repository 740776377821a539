"""Leads that left in a bundle: whoever runs attribute is told which do not stand as they left."""

import json

from attribute_case import DAY, MINUTE, NOW, claims, sight

from clew.core import sent


def left(case, lead):
    """Stands for the Bundle of its force that holds it."""
    sql = "SELECT address, port, transport, from_ns, to_ns FROM subject_intervals WHERE subject = ?"
    times = [tuple(row) for row in case.read().execute(sql, (lead["subject"],))]
    kept = json.dumps({lead["id"]: sent.as_kept(lead["subject"], lead["rank"], lead["expires_ns"], times)})
    with case.write("share") as tx:
        tx.execute("INSERT INTO bundles VALUES (?,?,'',x'00',1,?,?,'{}')", ("b" * 32, lead["force"], NOW, kept))


def test_a_lead_that_left_and_does_not_stand_is_told_to_who_runs_attribute(full, countries, register, run):
    told = "not told yet, so share with AT again: lead {} (127.10.1.1 port 6881) left for AT, last in the bundle bbbbbb"
    _, (lead,) = run(full, claims(), [countries])
    left(full, lead)
    summary, _ = run(full, claims(start=2), [countries])
    assert not any("left for" in line for line in summary.covered), "it has grown, and stands"
    summary, (moved,) = run(full, [], [register("127.10.0.0/16,DE,N,\n", name="later")])
    assert moved["force"] == "DE-N"
    assert summary.covered[-1].startswith(told.format(lead["id"]))
    assert summary.covered[-1].endswith("its place is another force's: DE")
    summary, _ = run(full, [], [countries, register("127.10.0.0/16,DE,N,\n", name="later")])
    assert summary.covered[-1].endswith(sent.UNSURE)
    another = {"id": "s900", "client": "Transmission 4.0.0", "peer_id": b"-TR4000-" + bytes(12)}
    summary, _ = run(full, [sight(0, at=NOW - DAY + 10 * MINUTE) | another], [countries])
    assert summary.covered[-1].endswith(sent.OTHERWISE)
    summary, none = run(full, [sight(9, kind="control", promiscuous=True)], [countries])
    assert none == []
    assert summary.covered[-1].endswith(sent.ANYTHING)
    with full.write("share") as tx:
        tx.execute("UPDATE bundles SET taken_back = ?", (json.dumps({lead["id"]: sent.ANYTHING}),))
    summary, _ = run(full, [], [countries])
    assert summary.covered[-1] == "leads that left in bundles and were taken back since: 1"


def test_a_lead_that_left_and_has_another_id_now_is_named_by_it(full, countries, run):
    _, (lead,) = run(full, claims(), [countries])
    left(full, lead)
    summary, (other,) = run(full, [sight(0, at=NOW - DAY - 60 * MINUTE) | {"id": "s901"}], [countries])
    assert summary.covered[-1].endswith(f"it stands, as another lead: {other['id']}")


def test_a_lead_of_the_torrent_alone_that_claims_the_file_by_now_still_stands(full, countries, run):
    _, (lead,) = run(full, claims(claim="torrent only", inner_claimed=0), [countries])
    left(full, lead)
    _, (now,) = run(full, claims(start=2), [countries])
    assert (now["id"], lead["torrent_only"], now["torrent_only"]) == (lead["id"], 1, 0)
    assert sent.changed(full) == [], "its times begin later, and nothing that was said of the earlier ones is less true"
