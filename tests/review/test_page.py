"""The page's server, without a browser: who may call, what leaves, what is written down before it leaves."""

import io
import sqlite3
from http.client import HTTPConnection
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from review_page import (
    CHANGE,
    OURS,
    Known,
    Served,
    actions,
    empty_case,
    entered,
    fill,
    serving,
    sharp_picture,
    signed_mandate,
)

from clew.core import blobs
from clew.core.errors import Refused, Usage
from clew.review import parts, pictures, schemes
from clew.review.app import create_app
from clew.review.guard import HEADERS, Keys
from clew.review.run import review
from clew.review.worklist import Worklist

S1 = f"{1:032x}"


def sharpness(jpeg: bytes) -> float:
    """Variance of the Laplacian."""
    grey = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), float)
    middle = grey[1:-1, 1:-1]
    return float((4 * middle - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]).var())


def test_the_token_works_once_and_the_cookie_is_strict(served: Served) -> None:
    with httpx.Client(base_url=served.address, headers=OURS) as stranger:
        assert stranger.get("/enter", params={"token": "x" * 43}).status_code == 403
        assert stranger.get("/enter").status_code == 403
        token = served.keys.token
        cookie = stranger.get("/enter", params={"token": token}).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert token not in cookie
        assert stranger.get("/").status_code == 200
    with httpx.Client(base_url=served.address, headers=OURS) as second:
        assert second.get("/enter", params={"token": token}).status_code == 403
        for path in ("/", "/leads", "/api/state", "/api/series", "/picture/" + "0" * 64, "/reveal/" + "0" * 64):
            answer = second.get(path)
            assert answer.status_code == 401, path
            assert "set-cookie" not in answer.headers


def test_every_answer_carries_the_headers(client: httpx.Client, known: Known) -> None:
    content = known.series[S1][0].hex()
    paths = ("/", "/static/desk.js", f"/picture/{content}", f"/reveal/{content}", "/api/state", "/nowhere", "/enter")
    for path in paths:
        answer = client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
    assert client.get(f"/reveal/{content}").headers["cache-control"] == "no-store"
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "*" not in policy


def test_foreign_pages_and_hosts_are_refused(client: httpx.Client, served: Served, known: Known) -> None:
    content = known.series[S1][0].hex()
    for site in ("cross-site", "same-site", "none", ""):
        for path in (f"/reveal/{content}", f"/picture/{content}", "/api/state"):
            assert client.get(path, headers={"sec-fetch-site": site}).status_code == 403, (site, path)
    assert client.get("/", headers={"sec-fetch-site": "none"}).status_code == 200
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    body = {"content": content, "code": "1"}
    assert client.post("/api/grade", json=body).status_code == 403, "no header"
    assert client.post("/api/grade", json=body, headers=CHANGE | {"sec-fetch-site": "same-site"}).status_code == 403
    assert client.post("/api/grade", content=b"{}", headers=CHANGE | {"content-type": "text/plain"}).status_code == 415
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost.evil.example"}).status_code == 400
    assert actions(known.case, "grade") == []
    assert actions(known.case, "picture") == []


def test_what_leaves_is_grey_blurred_and_new(client: httpx.Client, known: Known) -> None:
    content = known.series[S1][0]
    stored = sharp_picture(1, 0)
    blurred = client.get(f"/picture/{content.hex()}").content
    clear = client.get(f"/reveal/{content.hex()}").content
    for served in (blurred, clear):
        assert Image.open(io.BytesIO(served)).mode == "L"
        assert b"not to be passed on" not in served
        assert served != stored
    assert sharpness(stored) > 300
    assert sharpness(clear) > 300
    assert sharpness(blurred) < 5


def test_a_view_is_in_the_ledger_before_its_bytes_leave(client: httpx.Client, known: Known, served: Served) -> None:
    content = known.series[S1][0].hex()
    host, _, port = served.address.removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port))
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    connection.request("GET", f"/reveal/{content}", headers=OURS | {"Cookie": cookie})
    answer = connection.getresponse()  # the head has arrived, the body was not read
    assert actions(known.case, "picture") == ["picture.viewed"]
    assert answer.status == 200
    assert answer.read()
    connection.close()
    opening = known.case.read().execute("SELECT opening FROM ledger_openings ORDER BY seq DESC LIMIT 1").fetchone()[0]
    assert content in opening
    assert '"how":"clear"' in opening


def test_if_the_ledger_cannot_be_written_there_is_no_picture(
    client: httpx.Client, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    content = known.series[S1][0].hex()
    assert client.get(f"/picture/{known.single.hex()}").status_code == 200
    monkeypatch.setattr("clew.core.ledger.append", broken)
    for path in (f"/picture/{content}", f"/reveal/{content}"):
        answer = client.get(path)
        assert answer.status_code == 500
        assert b"JFIF" not in answer.content
    rows = known.case.read().execute("SELECT count(*) FROM exposure").fetchone()[0]
    assert rows == 1, "the first one alone"
    monkeypatch.undo()
    assert client.get(f"/reveal/{content}").status_code == 200


def test_opening_the_page_records_the_workers_isolation(client: httpx.Client, known: Known) -> None:
    assert client.get(f"/picture/{known.single.hex()}").status_code == 200
    line = known.case.read().execute("SELECT line FROM ledger WHERE line LIKE '%review.opened%'").fetchone()[0]
    assert '"counts":{"layers":6,"reached":' in line
    opening = known.case.read().execute("SELECT opening FROM ledger_openings ORDER BY seq").fetchall()
    assert any('"seccomp"' in row["opening"] for row in opening)


def test_pictures_asked_for_at_once_share_one_entry_each_named(client: httpx.Client, known: Known) -> None:
    from concurrent.futures import ThreadPoolExecutor

    wanted = [content.hex() for group in known.series.values() for content in group]
    with ThreadPoolExecutor(12) as threads:
        statuses = list(threads.map(lambda c: client.get(f"/picture/{c}").status_code, wanted))
    assert set(statuses) == {200}
    assert 0 < len(actions(known.case, "picture")) < len(wanted)
    rows = known.case.read().execute("SELECT count(DISTINCT content) FROM exposure WHERE how='blurred'").fetchone()[0]
    assert rows == len(set(wanted))


def test_a_damaged_or_hostile_stored_picture_costs_itself_alone(client: httpx.Client, known: Known) -> None:
    bad, good = known.series[S1][0], known.series[S1][1]
    blobs.path_of(known.case.folder, _blob(known, bad)).write_bytes(b"altered")
    assert client.get(f"/reveal/{bad.hex()}").status_code == 404
    assert client.get(f"/reveal/{good.hex()}").status_code == 200
    assert client.get(f"/picture/{known.pictureless.hex()}").status_code == 404
    for junk in (b"", b"\xff\xd8\xff\xe0junk", b"GIF89a" + bytes(40), sharp_picture(1)[:500]):
        with pytest.raises((OSError, SyntaxError, ValueError)):
            pictures.make(junk, blurred=True)


def _blob(known: Known, content: bytes) -> bytes:
    from clew.core import shards

    table = shards.query(known.case, "SELECT data FROM traits WHERE name='thumbnail' AND content=?", [content])
    return bytes(table.column("data")[0].as_py())


def test_the_list_shows_unknown_before_known_and_says_what_it_does_not_cover(
    client: httpx.Client, known: Known
) -> None:
    answer = client.get("/api/series").json()
    labels = [entry["label"] for entry in answer["entries"]]
    assert labels[:6] == [f"S-{n:03}" for n in range(1, 7)]
    assert labels[6:] == [f"Picture {known.single.hex()[:8]}"], "what no series holds comes last"
    assert answer["not_covered"] == {"unreadable": 3, "skipped": 2, "open": 0, "without_picture": 1}
    closed = client.get("/api/series", params={"section": "closed"}).json()["entries"]
    assert [(entry["label"], entry["known"]) for entry in closed] == [("S-007", True)]
    body = {"content": known.single.hex(), "code": "2"}
    assert client.post("/api/grade", json=body, headers=CHANGE).json()["did"] == "graded"
    assert len(client.get("/api/series").json()["entries"]) == 6
    assert len(client.get("/api/series", params={"section": "closed"}).json()["entries"]) == 2


def test_bad_requests_are_explained(client: httpx.Client, known: Known) -> None:
    content = known.series[S1][0].hex()
    for path, body in (
        ("/api/grade", {"content": content, "code": "9"}),
        ("/api/grade", {"content": "zz", "code": "1"}),
        ("/api/grade", {"content": "0" * 64, "code": "1"}),
        ("/api/grade", {"code": "1"}),
        ("/api/grade", ["no object"]),
        ("/api/confirm", {"proposals": "no list"}),
        ("/api/confirm", {"proposals": []}),
        ("/api/undo", {}),
        ("/api/alarm", {"kind": "lead", "about": "none", "reason": "x"}),
        ("/api/alarm/acknowledge", {"alarm": "none"}),
    ):
        answer = client.post(path, json=body, headers=CHANGE)
        assert answer.status_code == 400, (path, body)
        assert answer.json()["error"]
        assert answer.json()["hint"]
    assert client.post("/api/undo", content=b"x" * 70_000, headers=CHANGE | _JSON).status_code == 400
    assert client.get("/api/series", params={"section": "other"}).status_code == 400
    assert client.get("/api/series/nothing").status_code == 400
    assert client.get("/picture/..%2f..%2fcase.db").status_code in (400, 404)
    assert client.get("/static/..%2fapp.py").status_code == 404


_JSON = {"content-type": "application/json"}


def test_the_list_stays_quick_at_100_000_series(known: Known) -> None:
    from time import perf_counter

    from clew.review.thumbnails import Thumbnails

    with known.case.write("identify") as tx:
        rows = range(1000, 101_000)
        tx.executemany("INSERT INTO series VALUES (?,?,?,0)", ((f"{n:032x}", f"T-{n}", n.to_bytes(32)) for n in rows))
        members = ((k * 10**9 + n, n, 4 * k) for n in rows for k in range(2))
        tx.executemany(
            "INSERT INTO series_members VALUES (?,?,?)",
            ((c.to_bytes(32), f"{n:032x}", distance) for c, n, distance in members),
        )
    worklist = Worklist(known.case, Thumbnails(known.case))
    worklist.page("open")
    after: str | None = "T-55"
    begun = perf_counter()
    for _ in range(20):
        page = worklist.page("open", after or "")
        assert len(page.entries) == 40
        after = page.next
    each = (perf_counter() - begun) / 20
    begun = perf_counter()
    closed = worklist.page("closed")
    print(f"a page of the list: {each * 1e3:.1f} ms; the closed list: {(perf_counter() - begun) * 1e3:.0f} ms")
    assert each < 0.25
    assert [entry.label for entry in closed.entries] == ["S-007"]


def test_no_page_without_a_mandate_or_with_a_bad_name(tmp_path: Path) -> None:
    made = fill(empty_case(tmp_path / "case", purposes=["intake"]))
    with pytest.raises(Refused, match="review"):
        create_app(made.case, reviewer="heron", scheme=schemes.load("training"), keys=Keys())
    signed_mandate(made.case, made.key, ["review"], "M-2")
    with pytest.raises(Usage, match="reviewer"):
        review(made.case, reviewer="a b\n", port=0, scheme="training", announce=print)
    made.case.close()


def test_two_reviewers_two_pages_one_case(known: Known, client: httpx.Client) -> None:
    content = known.series[S1][0].hex()
    client.get(f"/reveal/{content}")
    body = {"kind": "lead", "about": known.lead, "reason": "a school uniform and a date"}
    alarm = client.post("/api/alarm", json=body, headers=CHANGE).json()["alarm"]
    assert client.post("/api/alarm/acknowledge", json={"alarm": alarm}, headers=CHANGE).status_code == 409
    with serving(known.case.folder, "wren") as page, entered(page) as second:
        state = second.get("/api/state").json()
        assert state["exposure"]["clear_today"] == 0, "what heron saw is heron's own"
        assert [a["raised_by"] for a in state["alarms"]] == ["heron"]
        assert second.post("/api/alarm/acknowledge", json={"alarm": alarm}, headers=CHANGE).status_code == 200
    assert client.get("/api/state").json()["alarms"][0]["acknowledged_by"] == "wren"
    assert client.get("/api/state").json()["exposure"]["clear_today"] == 1


def test_a_match_on_a_page_that_is_not_shown_is_said_in_words_and_closes_nothing(
    client: httpx.Client, known: Known
) -> None:
    first, second = known.series[S1][:2]
    with known.case.write("match") as tx:
        for content, part, state in (
            (first, "", "wants exact"),
            (second, "page 2", "stands"),
            (second, "page 4", "wants exact"),
            (known.single, "further picture 1", "stands"),
        ):
            hit = (
                content.hex() + part,
                content,
                "h",
                "pdq",
                12,
                "exact",
                "alert",
                "clew training",
                "ZZ",
                "1",
                "1",
                part,
            )
            tx.execute("INSERT INTO hits VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", (*hit, state, part))
    with known.case.write("identify") as tx:
        link = (known.single, second, "nearduplicate", 0.9, "PDQ distance 7; page 3 of the second", "", "page 3")
        tx.execute("INSERT INTO links VALUES (?,?,?,?,?,?,?)", link)
    entries = {entry["id"]: entry for entry in client.get("/api/series").json()["entries"]}
    single = f"single:{known.single.hex()}"
    assert [(entries[at]["parts"], entries[at]["known"]) for at in (S1, single)] == [(1, False), (1, False)]
    series = client.get(f"/api/series/{S1}").json()
    assert [member["parts"] for member in series["members"][:3]] == [[], ["page 2"], []]
    shown = "alert · Known shapes (pdq, near, distance 12, not yet computed exactly, clew training ZZ 1: 1)"
    assert [member["hits"] for member in series["members"][:3]] == [[shown], [], []], "of the picture that is shown"
    assert client.get(f"/api/series/{single}").json()["members"][0]["hits"] == []
    assert client.get(f"/api/facts/{second.hex()}").json()["parts"] == [
        "page 2 (not shown): alert · Known shapes (pdq, near, distance 12, clew training ZZ 1: 1)",
        "page 4 (not shown): alert · Known shapes (pdq, near, distance 12, not yet computed exactly,"
        " clew training ZZ 1: 1)",
        f"page 3 (not shown): near picture {known.single.hex()[:8]} (PDQ distance 7)",
    ]
    assert client.get(f"/api/facts/{known.single.hex()}").json()["parts"][1:] == [
        f"the picture shown: near page 3 of picture {second.hex()[:8]} in S-001 (PDQ distance 7)"
    ]


def test_of_many_matches_on_pages_the_first_are_said_and_the_others_counted(known: Known) -> None:
    with known.case.write("identify") as tx:
        for number in range(30):
            link = (bytes([number]) * 32, known.single, "nearduplicate", 0.9, "PDQ distance 7", "", f"page {number}")
            tx.execute("INSERT INTO links VALUES (?,?,?,?,?,?,?)", link)
    found = parts.lines(known.case.read(), known.single)
    assert (len(found), found[-1]) == (21, "and 10 matches more")
    plan = known.case.read().execute(f"EXPLAIN QUERY PLAN {parts._LINKS}", (known.single,)).fetchall()
    assert not [row["detail"] for row in plan if row["detail"].startswith("SCAN links")]
