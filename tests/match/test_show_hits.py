"""`clew show hits`: which contents hash sets know, by which hit, and where they were found."""

import hashlib
import json

import pytest

from clew.match import hits as found

DIGESTS = ("sha256", "sha1", "md5")


@pytest.fixture
def exhibits(case):
    with case.write("intake") as tx:
        columns = "id, label, kind, location, seized_by, seized_where, mandate, added_ns"
        rows = [("2", "E-1", "folder", "x", "", "", "m", 1), ("1", "E-2", "folder", "y", "", "", "m", 2)]
        tx.executemany(f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?)", rows)


@pytest.fixture
def lies(case, put, exhibits):
    """Puts a content at a path of an Exhibit; without a picture, as every film."""

    def do(name, exhibit, path, name_state="live", content_state="complete"):
        item = hashlib.sha256(f"{exhibit}{path}".encode()).hexdigest()[:32]
        listing = {"item": item, "exhibit": exhibit, "path": path if isinstance(path, bytes) else path.encode()}
        put(case, "listings", [listing | {"name_state": name_state, "content_state": content_state}], "intake")
        read = {a: hashlib.new(a, name.encode()).digest() for a in DIGESTS} | {"item": item, "exhibit": exhibit}
        read |= {"size": 1_234_567, "media_type": "video/mp4", "content_state": content_state}
        put(case, "contents", [read], "intake")

    return do


def digest(name, algorithm="sha256"):
    return hashlib.new(algorithm, name.encode()).hexdigest()


@pytest.fixture
def add(printed, case, tmp_path):
    def do(text, name, kind="alert"):
        (tmp_path / name).write_text(text)
        return printed("hashset", "add", case.folder, tmp_path / name, "--name", name, "--kind", kind)

    return do


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_known_film_is_named_with_its_set_its_category_and_every_place(printed, case, lies, add):
    lies("film", "1", "Users/x/clip.mp4", "deleted", "overwritten possible")
    lies("film", "2", "DCIM/clip.mp4")
    lies("other", "2", "DCIM/other.mp4")
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
    value = [{"MD5": digest("film", "md5"), "SHA1": digest("film", "sha1"), "Category": 1}]
    add(json.dumps({"@odata.context": context, "value": value}), "national 2026-11")
    told = "1 (which, and where, but for known-good: clew show hits CASE)"
    assert f"contents hit: {told.replace('1', '1 alert')}" in printed("match", case.folder)
    assert f"alert, stands: {told}" in printed("status", case.folder)
    assert printed("show", "hits", case.folder).splitlines()[:4] == [
        f"{digest('film')}  video/mp4, 1,234,567 bytes",
        "  alert · national 2026-11 (sha1, exact, VICS US 2.0: 1)",
        "  E-1  DCIM/clip.mp4",
        "  E-2  Users/x/clip.mp4 (deleted, overwritten possible)",
    ]
    (told,) = lines(printed("show", "hits", case.folder, "--json"))
    category = {"scheme": "VICS", "country": "US", "version": "2.0", "code": "1"}
    same = {"hashset": "national 2026-11", "kind": "alert", "state": "stands", "algorithm": "sha1", "distance": 0}
    same |= {"mode": "", "part": "", "entry": "0", "category": category}
    assert told["hits"] == [same | {"said": "alert · national 2026-11 (sha1, exact, VICS US 2.0: 1)"}]
    assert (told["content"], told["media_type"], told["size"]) == (digest("film"), "video/mp4", 1_234_567)
    assert [(place["exhibit"], place["path"]) for place in told["places"]] == [
        ("E-1", "DCIM/clip.mp4"),
        ("E-2", "Users/x/clip.mp4"),
    ]
    assert told["places"][1]["path_hex"] == b"Users/x/clip.mp4".hex()
    assert (told["places"][1]["name_state"], told["places"][1]["content_state"]) == ("deleted", "overwritten possible")


def test_alerts_come_first_and_what_is_known_to_be_good_is_counted(printed, case, lies, add):
    names = [f"file {n}" for n in range(12)]
    for name in names:
        lies(name, "2", name)
    alert, reference, good = names[:3], names[3:6], names[6:]
    add("\n".join(digest(n, "md5") for n in alert), "alerts")
    add("\n".join(digest(n) for n in reference + alert[:1]), "references", "reference")
    add("\n".join([*(digest(n) for n in good[:4]), *(digest(n, "md5") for n in good[4:])]), "good", "known-good")
    printed("match", case.folder)
    *hits, listed, stand = lines(printed("show", "hits", case.folder, "--json"))
    assert [one["content"] for one in hits] == sorted(map(digest, alert)) + sorted(map(digest, reference))
    both = next(one for one in hits if one["content"] == digest(alert[0]))
    assert [(hit["hashset"], hit["kind"]) for hit in both["hits"]] == [("alerts", "alert"), ("references", "reference")]
    same = {"hashset": "good", "kind": "known-good"}
    assert listed == same | {"state": "listed", "algorithm": "md5", "contents": 2}
    assert stand == same | {"state": "stands", "algorithm": "sha256", "contents": 4}
    words = printed("show", "hits", case.folder)
    assert "known-good · good: 4 contents by sha256; not named one by one" in words
    assert "known-good · good: 2 contents by md5, listed, and stops nothing; not named one by one" in words
    assert digest(good[0]) not in words


def test_a_hit_that_does_not_stand_says_so(printed, case, lies, add, put):
    lies("film", "2", "a.mp4")
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
    value = [{"MD5": digest("film", "md5"), "SHA1": digest("no such", "sha1")}]
    add(json.dumps({"@odata.context": context, "value": value}), "wrong")
    same = {"content": b"\2" * 32, "mode": "fast", "version": "1"}
    put(
        case,
        "traits",
        [same | {"name": "pdq", "data": bytes(32)}, same | {"name": "pdq.quality", "integer": 90}],
        "intake",
    )
    add(f"pdq:{'00' * 31}01\n", "near")
    printed("match", case.folder, "--no-exact")
    words = printed("show", "hits", case.folder).splitlines()
    assert "  alert · wrong (md5, exact, contradicted by a stronger hash of the same entry)" in words
    near = words.index("  alert · near (pdq, near, distance 1, not yet computed exactly)")
    assert words[near + 1] == "  no place of it is recorded"


def test_names_command_no_terminal_and_lose_no_byte(printed, case, lies, add):
    lies("film", "2", b"a\x1b]0;x\x07\xff.mp4")
    add(digest("film", "md5"), "set")
    printed("match", case.folder)
    assert "\x1b" not in printed("show", "hits", case.folder)
    (told,) = lines(printed("show", "hits", case.folder, "--json"))
    assert bytes.fromhex(told["places"][0]["path_hex"]) == b"a\x1b]0;x\x07\xff.mp4"


def test_many_places_and_contents_come_piece_by_piece_in_one_order(printed, case, lies, add, monkeypatch):
    names = [f"film {n}" for n in range(5)]
    for number, name in enumerate(names):
        for place in range(number + 1):
            lies(name, "12"[place % 2], f"{name}/{place}.mp4")
    add("\n".join(digest(n, "md5") for n in names), "set")
    printed("match", case.folder)
    whole = list(found.hits(case))
    for name, value in {"CONTENTS": 2, "ROWS": 3, "PLACES": 2}.items():
        monkeypatch.setattr(found, name, value)
    parts = list(found.hits(case))
    assert max(len(part["places"]) for part in parts) == 2
    assert [one["content"] for one in whole] == sorted(map(digest, names))
    joined = {one["content"]: [p for part in parts if part["content"] == one["content"] for p in part["places"]]
              for one in whole}  # fmt: skip
    assert joined == {one["content"]: one["places"] for one in whole}
    assert [len(joined[digest(name)]) for name in names] == [1, 2, 3, 4, 5]


def test_no_hit_is_said_to_be_no_proof(printed, case):
    out = printed("show", "hits", case.folder)
    assert out.startswith("no hits")
    assert "only the hash sets of this case were asked" in out
    assert printed("show", "hits", case.folder, "--json") == ""
