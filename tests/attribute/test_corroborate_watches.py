"""The watched file itself or another of its torrent: bytes that fit, and a torrent of two watches judged for each."""

import json

import pytest
from corroborate_case import (
    AFTER_S,
    BEFORE_S,
    FROM,
    PEER,
    RESUME,
    TO,
    TRANSMISSION,
    World,
    a_watch,
    fastresume,
    lay_film,
    sighting,
    transmission,
)

from clew.attribute.corroborate import corroborate
from clew.attribute.run import attribute
from clew.attribute.weigh import Match, Outcome
from facts_case import put


def test_verified_bytes_of_the_watched_file(world):
    seized, told = lay_film(world)
    world.belongs("A")
    lead = world.lead()
    assert lead.matches == (Match.INFOHASH, Match.PIECES)
    (verified,) = [f for f in lead.findings if Match.PIECES in f.matches]
    assert (verified.content, "the watched file itself" in verified.why[0]) == (seized.hex(), True)
    world.say(seized, [{"name": "pieces.verified", "text": json.dumps(told | {"matching": 5, "offset": 1})}])
    assert len([f for f in world.lead().findings if Match.PIECES in f.matches]) == 1


def across(told: dict[str, object], *pieces: tuple[int, int, int, int, int]) -> dict[str, str]:
    """What pieces that lie in several files say of a file."""
    right = [piece for piece in pieces if piece[-1]]
    about = {name: told[name] for name in ("torrent", "offset", "size")} | {"index": 0, "tried": []}
    said = about | {"checked": len(pieces), "matching": len(right), "pieces": pieces}
    by = {"extractor": "pieces across files", "version": "1", "mode": "pieces"}
    return {"name": "pieces.across", "text": json.dumps(said), **by}


def of_pieces(world: World) -> list:
    return [f for f in world.lead().findings if Match.PIECES in f.matches]


def test_a_piece_across_files_shows_the_bytes_that_it_covers_and_no_more(world):
    _, told = lay_film(world)
    picture = world.lay("A", b"picture.jpg", b"picture" * 100)
    world.belongs("A")
    world.say(picture, [across(told, (6, 0, 17_000, 3, 1), (7, 17_000, 300, 2, 0))])
    (found,) = [f for f in of_pieces(world) if f.content == picture.hex()]
    assert found.shown == {"piece 6": (0, 17_000)}
    (why,) = found.why
    assert why.startswith("in the place of the watched file itself: 17,000 of the 100,000 bytes of it are in piece 6")
    world.say(picture, [across(told, (7, 17_000, 300, 2, 1), (6, 0, 17_000, 3, 1))])
    (found,) = [f for f in of_pieces(world) if f.content == picture.hex()]
    assert found.shown == {"piece 6": (0, 17_000), "piece 7": (17_000, 300)}


def test_what_does_not_fit_across_files_says_nothing(world):
    film, told = lay_film(world)
    picture = world.lay("A", b"picture.jpg", b"picture" * 100)
    world.belongs("A")
    before = world.lead()
    world.say(picture, [across(told, (6, 0, 1_700, 3, 0))])
    world.say(film, [across(told, (6, 99_000, 1_000, 3, 0))])
    after = world.lead()
    assert (after.outcome, after.matches, after.findings) == (before.outcome, before.matches, before.findings)


def test_of_what_has_a_wrong_piece_inside_it_nothing_is_said(world):
    _, told = lay_film(world)
    picture = world.lay("A", b"picture.jpg", b"picture" * 100)
    world.belongs("A")
    inside = told | {"index": 0, "matching": 5}
    world.say(picture, [{"name": "pieces.verified", "text": json.dumps(inside)}, across(told, (6, 0, 17_000, 3, 1))])
    assert picture.hex() not in {f.content for f in of_pieces(world)}


@pytest.mark.parametrize(
    ("size", "known", "said"),
    [(700_000, 3, False), (700_000, 16_383, False), (700_000, 16_384, True), (1_000, 99, False), (1_000, 100, True)],
)
def test_of_a_few_bytes_that_fit_nothing_is_said(world, size, known, said):
    _, told = lay_film(world)
    picture = world.lay("A", b"picture.jpg", b"picture" * 100)
    world.belongs("A")
    world.say(picture, [across(told | {"size": size}, (6, 0, known, 3, 1))])
    assert (picture.hex() in {f.content for f in of_pieces(world)}) is said


def test_of_two_contents_in_the_place_of_one_file_the_one_counts_that_fits_more(world):
    _, told = lay_film(world)
    picture, other = (world.lay("A", name, name * 100) for name in (b"picture.jpg", b"other.jpg"))
    world.belongs("A")
    about = told | {"size": 17_000}
    world.say(picture, [across(about, (6, 0, 9_000, 3, 1), (7, 9_000, 8_000, 2, 1))])
    world.say(other, [across(about, (6, 0, 9_000, 3, 1))])
    assert {picture.hex()} == {f.content for f in of_pieces(world)} & {picture.hex(), other.hex()}


ANOTHER = "another file of the watched torrent"


@pytest.fixture
def two_files(case, make) -> World:
    """Two files of one torrent are watched; the Lead claimed pieces of both."""
    a_watch(case, id="w-18", label="W-18", file_offset=100_000, file_length=60_000)
    world = make()
    put(case, "sightings", [sighting(n, at, watch="w-18") for n, at in ((3, FROM), (4, TO))], "observe")
    attribute(case, registers=[], now_ns=TO)
    return world


def test_a_torrent_of_two_watches_is_judged_for_each(two_files):
    lay_film(two_files)
    two_files.lay("A", RESUME, fastresume(BEFORE_S, PEER))
    two_files.lay("A", TRANSMISSION, transmission())
    assert corroborate(two_files.case).unlinked == {"A": ("W-17", "W-18")}
    two_files.belongs("A")
    lead = two_files.lead()
    assert lead.by_watch == {"W-17": Outcome.SUPPORTED, "W-18": Outcome.SUPPORTED}
    kinds = ["fastresume", "file", "torrent metainfo", "transmission resume"]
    assert {label: sorted(f.kind for f in lead.findings if f.watch == label) for label in lead.by_watch} == {
        "W-17": kinds, "W-18": kinds
    }  # fmt: skip
    which = {f.watch: f.why[0].split(":")[0] for f in lead.findings if f.kind == "file"}
    assert which == {"W-17": "the watched file itself", "W-18": ANOTHER}
    assert all(Match.ENDPOINT in f.matches for f in lead.findings if f.kind == "fastresume")
    assert "BT_backup/[infohash of W-17, W-18].fastresume" in {f.item for f in lead.findings}


def test_without_an_offset_a_file_of_another_size_is_another_file(two_files):
    seized, told = lay_film(two_files)
    two_files.belongs("A")
    two_files.say(seized, [{"name": "pieces.verified", "text": json.dumps(told | {"offset": None, "method": "v2"})}])
    which = {f.watch: f.why[0] for f in two_files.lead().findings if "root" in f.why[0]}
    assert "whether it is the watched file itself is not known" in which["W-17"]
    assert which["W-18"].startswith(ANOTHER)


def test_an_entry_of_a_torrent_of_two_watches_contradicts_for_each(two_files):
    two_files.lay("A", b"x", fastresume(AFTER_S))
    two_files.belongs("A")
    two_files.clock("A")
    assert two_files.lead().by_watch == {"W-17": Outcome.CONTRADICTED, "W-18": Outcome.CONTRADICTED}
