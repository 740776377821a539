"""`clew show clues`: which files say the same camera, person, document or place."""

import hashlib
import json

import pytest

from clew.cli._show_clues import DOUBTFUL


@pytest.fixture
def lies(case, put):
    """Puts a file that says something into one of two Exhibits."""
    with case.write("intake") as tx:
        columns = "id, label, kind, location, seized_by, seized_where, mandate, added_ns"
        rows = [("2", "E-1", "folder", "x", "", "", "m", 1), ("1", "E-2", "folder", "y", "", "", "m", 2)]
        tx.executemany(f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?)", rows)

    def lies(name, exhibit, taken="", state="complete", **said):
        item = hashlib.sha256(f"{exhibit}{name}".encode()).hexdigest()[:32]
        where = {"item": item, "exhibit": exhibit}
        put(case, "listings", [where | {"path": name.encode(), "name_state": "live"}], "intake")
        put(case, "contents", [where | {"sha256": sha(name), "content_state": state}], "intake")
        by = {"content": sha(name), "extractor": "exif", "version": "3"}
        rows = [by | {"name": each.replace("_", ".", 1), **_typed(value)} for each, value in said.items()]
        rows += [by | {"name": "time.original", "text": taken}] if taken else []
        put(case, "traits", rows, "intake")

    return lies


@pytest.fixture
def pictures(lies):
    """Two of one camera in two Exhibits, one of another camera and one that says nothing."""
    lies("b.jpg", "1", "2026:03:05 10:00:00", camera_serial="3001234")
    lies("a.jpg", "2", "2026-03-01T09:00:00", camera_serial="3001234", gps_latitude=47.0666667, gps_longitude=15.43)
    lies("c.jpg", "2", "0000:00:00 00:00:00", camera_serial="42\x1b[2J", camera_owner=" ")
    lies("e.jpg", "1", exiftool_SerialNumber=77)
    lies("d.jpg", "2", camera_software="editor")


def sha(name):
    return hashlib.sha256(name.encode()).digest()


def _typed(value):
    return {{str: "text", int: "integer", float: "number"}[type(value)]: value}


def test_one_camera_in_two_exhibits_stands_first(printed, case, pictures):
    with case.write("match") as tx:
        tx.execute(
            "INSERT INTO hits (id, content, hashset, algorithm, distance, mode, kind, entry, state)"
            " VALUES ('1',?,'h','sha256',0,'','alert','0','stands')",
            (sha("b.jpg"),),
        )
    out = printed("show", "clues", case.folder)
    assert out.splitlines()[:8] == [
        "camera.serial  3001234",
        "  2 contents in E-1, E-2, 1 known to an alert set, taken 2026-03-01T09:00:00 to 2026:03:05 10:00:00",
        "camera.serial  42\N{REPLACEMENT CHARACTER}[2J",
        "  1 content in E-1",
        "exiftool.SerialNumber  77",
        "  1 content in E-2",
        "gps  47.06667, 15.43000",
        "  1 content in E-1, taken 2026-03-01T09:00:00",
    ]
    assert "not proof" in out
    assert len(out.splitlines()) == 9
    first = json.loads(printed("show", "clues", case.folder, "--json").splitlines()[0])
    assert (first["exhibits"], first["contents"], first["known"]) == (["E-1", "E-2"], 2, 1)


def test_each_file_that_says_it_is_named(clew, printed, case, pictures):
    assert printed("show", "clues", case.folder, "3001234").splitlines()[:-1] == [
        f"{sha('a.jpg').hex()[:12]}  E-1  a.jpg: camera.serial, taken 2026-03-01T09:00:00",
        f"{sha('b.jpg').hex()[:12]}  E-2  b.jpg: camera.serial, taken 2026:03:05 10:00:00",
    ]
    assert "e.jpg: exiftool.SerialNumber" in printed("show", "clues", case.folder, "77")
    assert "a.jpg: gps" in printed("show", "clues", case.folder, "47.06667, 15.43000")
    told = json.loads(printed("show", "clues", case.folder, "3001234", "--json").splitlines()[0])
    assert told["content"] == sha("a.jpg").hex()
    status, _, complaint = clew("show", "clues", case.folder, "300")
    assert status == 2
    assert "no file of this case says" in complaint


def test_what_a_doubtful_content_says_is_said_to_be_so(printed, case, put, lies):
    """One that is complete at another place is not in doubt; the weaker of two claims of one place counts."""
    lies("a.jpg", "1", camera_serial="77", state="overwritten possible")
    lies("b.jpg", "1", camera_serial="77", state="overwritten possible")
    lies("b.jpg", "2", state="complete")
    lies("c.jpg", "2", camera_serial="77", state="partial")
    lies("d.jpg", "2", "2026:03:05 10:00:00", camera_serial="77")
    lies("e.jpg", "2", camera_serial="77")
    where = {"item": hashlib.sha256(b"2e.jpg").hexdigest()[:32], "exhibit": "2", "sha256": sha("e.jpg")}
    put(case, "contents", [where | {"content_state": "overwritten possible"}], "intake")
    out = printed("show", "clues", case.folder).splitlines()[1]
    assert out == f"  5 contents in E-1, E-2, taken 2026:03:05 10:00:00; 3 {DOUBTFUL}"
    assert json.loads(printed("show", "clues", case.folder, "--json").splitlines()[0])["doubtful"] == 3
    named = [line.partition("  ")[2] for line in printed("show", "clues", case.folder, "77").splitlines()[:-1]]
    assert sorted(named) == [
        "E-1  b.jpg: camera.serial",
        "E-1  c.jpg (partial): camera.serial",
        "E-1  d.jpg: camera.serial, taken 2026:03:05 10:00:00",
        "E-1  e.jpg (overwritten possible): camera.serial",
        "E-2  a.jpg (overwritten possible): camera.serial",
        "E-2  b.jpg (overwritten possible): camera.serial",
    ]
    told = map(json.loads, printed("show", "clues", case.folder, "77", "--json").splitlines())
    assert [row["content_state"] for row in told if row["path"] == "c.jpg"] == ["partial"]


def test_what_exiftool_said_of_an_apple_note_meets_what_clew_says(printed, case, lies):
    """Also of a picture that was read both ways; nothing of another maker's, or that stands in EXIF, is renamed."""
    old = {"camera_make": "Apple", "exiftool_ContentIdentifier": "3A1F", "exiftool_ImageUniqueID": "7E57"}
    new = {"camera_make": "Apple", "note_content_identifier": "3A1F", "note_image_unique_id": "7E57"}
    lies("old.jpg", "1", **old)
    lies("new.jpg", "2", **new)
    lies("both.jpg", "2", **(old | new))
    lies("other.jpg", "1", camera_make="Lumen", exiftool_ImageUniqueID="7E58")
    lies("plain.jpg", "1", camera_make="Apple", image_unique_id="7E59", exiftool_ImageUniqueID="7E59")
    rows = map(json.loads, printed("show", "clues", case.folder, "--json").splitlines())
    said = {(row["name"], row["value"]): (row["contents"], len(row["exhibits"])) for row in rows}
    assert {each: met for each, met in said.items() if each[0] != "camera.make"} == {
        ("note.content_identifier", "3A1F"): (3, 2),
        ("note.image_unique_id", "7E57"): (3, 2),
        ("exiftool.ImageUniqueID", "7E58"): (1, 1),
        ("image.unique_id", "7E59"): (1, 1),
        ("exiftool.ImageUniqueID", "7E59"): (1, 1),
    }


def test_of_a_case_without_clues_it_says_so(printed, case):
    assert printed("show", "clues", case.folder) == "no file that was read says anything of these\n"
