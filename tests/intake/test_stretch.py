"""A walk in stretches: whatever is kept between them, everything is given, and a directory is listed no oftener than
needed.
"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.intake.disk import stretch
from clew.intake.walk import Listing

NAMES = st.binary(min_size=1, max_size=3)
TREES = st.recursive(st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=25)
Folder = dict[bytes, Any]


def walked(root: Folder, most: int, mark: object) -> tuple[list[bytes], Counter[stretch.At]]:
    """The paths in the order in which they came, and how often each directory was listed."""
    listed: Counter[stretch.At] = Counter()

    def listing(at: stretch.At) -> Listing[stretch.Item]:
        listed[at] += 1
        here = root
        for name, _, _ in at:
            here = here[name]
        found: Listing[stretch.Item] = Listing()
        for name, inside in here.items():
            if inside is None:
                found.files.append(((name, 0, 0), {"path": b"/".join([*(key[0].hex().encode() for key in at), name])}))
            else:
                found.folders.append((name, 0, 0))
        return found

    image: Any = SimpleNamespace(newly_lost=lambda: 0)
    tree = stretch.Tree(mark, image, listing, lambda at: repr(at).encode(), lambda at, _: {"path": repr(at).encode()})
    paths: list[bytes] = []
    cursor, done = "", False
    while not done:
        said = stretch.stretch(tree, {"cursor": cursor, "most": most, "directories": None}).value
        paths += [item["path"] for item in said["items"]]
        cursor, done = said["cursor"], said["done"]
    return paths, listed


def wide(count: int, levels: int) -> Folder:
    """So many files in each directory, so many levels deep."""
    files: Folder = {b"%d" % number: None for number in range(count)}
    return files | {b"a": wide(count, levels - 1), b"b": wide(count, levels - 1)} if levels else files


def test_each_directory_is_listed_once_in_however_many_stretches() -> None:
    paths, listed = walked(wide(5, 3), 3, object())
    assert len(paths) == 5 * 15
    assert set(listed.values()) == {1}


@given(st.dictionaries(NAMES, TREES, max_size=4), st.integers(1, 5), st.sampled_from([0, 3, 50_000]))
def test_nothing_depends_on_what_is_kept(root: Folder, most: int, kept: int) -> None:
    whole, _ = walked(root, 1_000, object())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretch, "MOST_KEPT", kept)
        assert walked(root, most, object())[0] == whole


def test_what_is_kept_of_one_tree_is_not_given_for_another() -> None:
    first, second = object(), object()
    for mark, root in ((first, {b"a": {b"1": None}}), (second, {b"a": {b"2": None}}), (first, {b"a": {b"1": None}})):
        assert walked(root, 1, mark)[0] == [b"61/" + next(iter(root[b"a"]))]
