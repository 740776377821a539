"""Leads on the page: Watches by their labels, reasons in words."""

import json
from pathlib import Path

from clew.core.case import Case
from clew.review import leads

WATCH, SUBJECT, LEAD = "a" * 32, "b" * 32, "c" * 32


def test_a_watch_is_shown_by_its_label_and_a_reason_in_words(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case", operation="T", force="AT", authority="00" * 32, actor="wren")
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO watches VALUES (?, 'W-17', x'00', 'm', 0)", (WATCH,))
    said = {"features": json.dumps({"watched_files": 1.0}), "caveats": '["shared address"]', "against": "[]"}
    row = (LEAD, SUBJECT, "AT", 1, 1.0, "E2", 0, "AT", 0, "isp", "[]", *said.values(), 0, "assigned")
    with case.write("attribute") as tx:
        tx.execute("INSERT INTO subjects VALUES (?, 'SUB-1', ?)", (SUBJECT, json.dumps([WATCH])))
        tx.execute(f"INSERT INTO leads VALUES ({','.join('?' * len(row))})", row)
    (shown,), more = leads.page(case)
    assert shown.watches == ("W-17",)
    assert shown.reasons == (("watched files", 1.0),)
    assert shown.caveats == ("shared address",)
    assert shown.network_kind == "internet provider"
    assert more is None
    case.close()
