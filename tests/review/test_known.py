"""What is known on the page: with or without a picture of it, and of a Series which of its pictures."""

import httpx
import pytest
from review_page import CHANGE, Known, hit

from clew.review.thumbnails import Thumbnails
from clew.review.worklist import Worklist
from clew.share import collect

S1, S7 = f"{1:032x}", f"{7:032x}"


def listed(client: httpx.Client, section: str) -> dict[str, dict[str, object]]:
    entries = client.get("/api/series", params={"section": section}).json()["entries"]
    return {entry["id"]: entry for entry in entries}


def test_a_known_file_without_a_picture_is_listed_said_in_words_and_graded(client: httpx.Client, known: Known) -> None:
    content = known.pictureless
    identity = f"single:{content.hex()}"
    grade = {"content": content.hex(), "code": "2"}
    assert client.post("/api/grade", json=grade, headers=CHANGE).status_code == 400, "nobody knows it"
    hit(known.case, content)
    entry = listed(client, "closed")[identity]
    assert (entry["label"], entry["known"], entry["picture"]) == (f"File {content.hex()[:8]}", True, False)
    assert identity not in listed(client, "open")
    (member,) = client.get(f"/api/series/{identity}").json()["members"]
    assert member["hits"] == ["alert · Known shapes (md5, exact, VICS US 2.0: 1)"]
    facts = client.get(f"/api/facts/{content.hex()}").json()
    assert (facts["media_type"], facts["size"]) == ("image/jpeg", 40_000)
    assert facts["places"] == [{"path": "Pictures/shapes_501_0.jpg", "state": "live"}]
    assert client.post("/api/grade", json=grade, headers=CHANGE).json()["series"] == identity
    assert listed(client, "closed")[identity]["settled"] == 1
    assert [(each.sha256, each.category.code) for each in collect._known(known.case)] == [(content, "2")]
    assert client.get(f"/reveal/{content.hex()}").status_code == 404


@pytest.mark.parametrize(
    "said",
    [
        {"state": "contradicted"},
        {"kind": "reference"},
        {"kind": "known-good", "algorithm": "sha256"},
        {"state": "wants exact", "algorithm": "pdq"},
    ],
)
def test_a_file_without_a_picture_that_no_alert_set_knows_is_not_listed(known: Known, said: dict[str, str]) -> None:
    hit(known.case, known.pictureless, **said)
    worklist = Worklist(known.case, Thumbnails(known.case))
    identity = f"single:{known.pictureless.hex()}"
    assert identity not in {e.id for section in ("open", "closed") for e in worklist.page(section).entries}
    assert not worklist.holds(known.pictureless)


def test_of_a_file_without_a_picture_a_page_may_be_known_alone(client: httpx.Client, known: Known) -> None:
    hit(known.case, known.pictureless, algorithm="pdq", distance=5, part="page 2")
    entry = listed(client, "open")[f"single:{known.pictureless.hex()}"]
    assert (entry["known"], entry["parts"]) == (False, 1)


def test_what_was_graded_stays_listed_when_its_match_is_taken_back(client: httpx.Client, known: Known) -> None:
    identity = f"single:{known.pictureless.hex()}"
    hit(known.case, known.pictureless)
    grade = {"content": known.pictureless.hex(), "code": "1"}
    assert client.post("/api/grade", json=grade, headers=CHANGE).status_code == 200
    with known.case.write("match") as tx:
        tx.execute("DELETE FROM hits WHERE content = ?", (known.pictureless,))
    assert (listed(client, "closed")[identity]["known"], listed(client, "closed")[identity]["settled"]) == (False, 1)
    assert client.post("/api/undo", json={}, headers=CHANGE).json()["series"] == identity
    assert identity not in listed(client, "closed")


def test_files_with_and_without_a_picture_stand_in_one_order_page_by_page(known: Known) -> None:
    others = [bytes([n]) * 32 for n in range(40, 240, 10)]
    for content in [*others, known.single, known.pictureless]:
        hit(known.case, content)
    worklist = Worklist(known.case, Thumbnails(known.case))
    found, after = [], ""
    while after is not None:
        page = worklist.page("closed", after, 3)
        found += [entry.id for entry in page.entries]
        after = page.next
    singles = sorted(f"single:{each.hex()}" for each in [*others, known.single, known.pictureless])
    assert found == [S7, *singles]


def test_of_a_series_it_is_said_which_picture_is_known(client: httpx.Client, known: Known) -> None:
    """The one that stands for the Series is not: the best of them is often the new one."""
    with known.case.write("match") as tx:
        tx.execute("DELETE FROM hits")
    hit(known.case, known.series[S7][3])
    hit(known.case, known.series[S7][1], algorithm="pdq", distance=9, mode="fast", state="wants exact")
    entry = listed(client, "closed")[S7]
    assert (entry["known"], entry["known_members"], entry["members"]) == (True, 1, 5)
    assert entry["unanswered"] == 4
    members = client.get(f"/api/series/{S7}").json()["members"]
    assert [member["known"] for member in members] == ["", "", "", "Known shapes", ""]
    assert [member["hits"] for member in members] == [
        [],
        ["alert · Known shapes (pdq, near, distance 9, not yet computed exactly, VICS US 2.0: 1)"],
        [],
        ["alert · Known shapes (md5, exact, VICS US 2.0: 1)"],
        [],
    ]


def test_of_a_series_it_is_counted_how_many_are_neither_known_nor_graded(client: httpx.Client, known: Known) -> None:
    """Its filing is no answer about them; a proposal that nobody confirmed is none either."""
    best, *others = known.series[S7]
    client.post("/api/grade", json={"content": best.hex(), "code": "1"}, headers=CHANGE)
    entry = listed(client, "closed")[S7]
    assert [entry[name] for name in ("known_members", "settled", "waiting", "unanswered")] == [1, 1, 4, 4]
    for content in others:
        client.post("/api/grade", json={"content": content.hex(), "code": "2"}, headers=CHANGE)
    entry = listed(client, "closed")[S7]
    assert [entry[name] for name in ("known_members", "settled", "waiting", "unanswered")] == [1, 5, 0, 0]


def test_a_match_since_the_series_were_made_is_counted_and_files_nothing(client: httpx.Client, known: Known) -> None:
    hit(known.case, known.series[S1][2])
    hit(known.case, known.series[S1][2], algorithm="sha1", entry="8")
    entry = listed(client, "open")[S1]
    assert (entry["known"], entry["known_members"], entry["members"]) == (False, 1, 6)


def test_of_many_matches_the_strongest_are_said_and_the_others_counted(client: httpx.Client, known: Known) -> None:
    for entry in range(30):
        hit(known.case, known.single, algorithm="pdq", distance=30 - entry, entry=str(entry))
    hit(known.case, known.single, state="contradicted")
    (member,) = client.get(f"/api/series/single:{known.single.hex()}").json()["members"]
    assert member["hits"][0].startswith("alert · Known shapes (pdq, near, distance 1,")
    assert (len(member["hits"]), member["hits"][-1]) == (21, "and 11 matches more")


def test_a_page_of_the_list_does_not_read_all_that_is_known_to_be_good(known: Known) -> None:
    from clew.review import worklist

    sql = worklist._KNOWN_OR_GRADED.format(">")
    plan = known.case.read().execute(f"EXPLAIN QUERY PLAN {sql}", {"content": b"", "most": 5}).fetchall()
    told = " ".join(row["detail"] for row in plan)
    assert "hits_alert" in told
    assert "SCAN" not in told
