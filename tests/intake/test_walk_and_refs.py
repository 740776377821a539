"""The cursor: whatever was walked before it plus whatever is walked from it is everything, once."""

from hypothesis import given
from hypothesis import strategies as st

from clew.intake.refs import item_id, quote, unquote
from clew.intake.walk import PAST, Listing, cursor_text, parse_cursor, preorder
from clew.model import Missing, Reason

NAMES = st.binary(min_size=1, max_size=4)
TREES = st.recursive(
    st.none() | st.just("lost"), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=25
)


def _lister(tree):
    def lister(at):
        node = tree
        for name, _, _ in at:
            node = node[name]
        if node == "lost":
            return Missing(Reason.UNREADABLE, "lost")
        listing = Listing()
        for name, inner in (node or {}).items():
            if inner is None:
                listing.files.append(((name, 0, 0), name))
            else:
                listing.folders.append((name, 0, 0))
        return listing

    return lister


def _seen(events):
    return [(event.at, event.file if event.file is not None else "enter") for event in events]


def test_what_is_quoted_is_what_the_definition_says() -> None:
    """Printable ASCII as it is, but for blanks, "%" and "!"."""
    for byte in range(256):
        plain = 0x21 <= byte <= 0x7E and byte not in b"%!"
        assert quote(b"a%cb" % byte) == (f"a{chr(byte)}b" if plain else f"a%{byte:02X}b")


@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_from_every_cursor_the_rest_follows_and_nothing_twice(tree):
    events = list(preorder(_lister(tree)))
    whole = _seen(events)
    assert len(set(whole)) == len(whole)
    for number, event in enumerate(events):
        assert _seen(preorder(_lister(tree), event.cursor)) == whole[number + 1 :]


@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_past_a_directory_nothing_of_it_follows(tree):
    events = list(preorder(_lister(tree)))
    for number, event in enumerate(events):
        if event.entered is not None:
            inside = len(event.at)
            rest = [each for each in _seen(events[number + 1 :]) if each[0][:inside] != event.at]
            assert _seen(preorder(_lister(tree), cursor_text(event.at, PAST))) == rest


@given(st.lists(st.tuples(st.binary(max_size=6), st.integers(0, 2**60), st.integers(0, 2**40)), max_size=4))
def test_a_cursor_reads_back(at):
    assert parse_cursor(cursor_text(tuple(at), 1)) == (tuple(at), 1, None)


@given(st.binary(max_size=60))
def test_a_ref_is_printable_and_reads_back(raw):
    text = quote(raw)
    assert text.isascii()
    assert not any(c.isspace() for c in text)
    assert unquote(text) == raw


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_different_places_have_different_ids(one, other):
    assert (item_id("e", quote(one)) == item_id("e", quote(other))) == (one == other)
