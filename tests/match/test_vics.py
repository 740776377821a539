"""VICS JSON as it is found in the field, with its traps."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import Damaged, Refused
from clew.match.api import Dropped, Entry
from clew.match.bounded import Bounded
from clew.match.readers.vics import PLUGIN
from clew.model import Category, HashSetKind

MD5, OTHER = "1a79a4d60de6718e8e5b326e338ae533", "5d41402abc4b2a76b9719d911017c592"
OLD = ("odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/{}.xml#{}")
NEW = ("@odata.context", "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{}/$metadata#{}")


def vics(media, model=NEW, fill=("US", "Media"), bom=b"", **extra):
    key, text = model
    value = media if fill[1] == "Media" else [{"CaseID": "c", "TotalMediaFiles": 99, "Media": media}]
    return bom + json.dumps({key: text.format(*fill), **extra, "value": value}).encode()


def read(data, kind=HashSetKind.ALERT):
    return list(PLUGIN.read(io.BytesIO(data), kind))


def entries(data, kind=HashSetKind.ALERT):
    return [e for e in read(data, kind) if isinstance(e, Entry)]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("listed", ["Media", "Cases"])
@pytest.mark.parametrize(
    ("model", "first", "category"),
    [(OLD, "1.1", ("VICS", "unstated", "1.1", "1")), (OLD, "1.3", ("VICS", "unstated", "1.3", "1")),
     (NEW, "Default", ("VICS", "Default", "2.0", "1")), (NEW, "UK", ("VICS", "UK", "2.0", "1")),
     (NEW, "CUSTOM", ("VICS", "CUSTOM", "2.0", "1"))],
)  # fmt: skip
def test_every_seen_model(bom, listed, model, first, category):
    (entry,) = entries(vics([{"MD5": MD5, "Category": 1}], model, (first, listed), bom))
    assert entry.category == Category(*category)


def test_the_model_may_stand_last():
    data = json.dumps({"value": [{"MD5": MD5, "Category": 1}], NEW[0]: NEW[1].format("US", "Media")}).encode()
    assert entries(data)[0].category == Category("VICS", "US", "2.0", "1")


@pytest.mark.parametrize(("told", "code"), [(0, "0"), ("0", "0"), (5, "5"), ("2", "2"), (None, None), ("", None)])
def test_zero_is_a_category_and_null_is_none(told, code):
    (entry,) = entries(vics([{"MD5": MD5, "Category": told}]))
    assert (entry.category.code if entry.category else None) == code


def test_unknown_fields_stay_as_they_were():
    medium = {"MD5": MD5.upper(), "Category": 1, "IsDistributed": "true", "SelfGenerated": False, "MediaSize": "12",
              "PhotoDNA": "AAAA" * 48, "X": {"y": [1, 2.5, None]}, "Tags": "ü"}  # fmt: skip
    (entry,) = entries(vics([medium]))
    assert entry.verbatim == medium
    assert entry.hashes == {"md5": bytes.fromhex(MD5)}, "PhotoDNA is carried, never a key"


def test_alternative_hashes():
    others = [{"HashName": "SHA-256", "HashValue": "ab" * 32}, {"HashName": "pdq", "HashValue": "CD" * 32},
              {"HashName": "PhotoDNA", "HashValue": "AAAA"}, {"HashName": None}, "junk"]  # fmt: skip
    (entry,) = entries(vics([{"Category": 1, "AlternativeHashes": others}]))
    assert entry.hashes == {"sha256": b"\xab" * 32, "pdq": b"\xcd" * 32}


def test_what_is_dropped_is_counted_by_reason():
    media = [{"MD5": "d41d8cd98f00b204e9800998ecf8427e"}, {"MD5": "xyz"}, {"Category": 1}, 7, {"MD5": MD5, "SHA1": "0"},
             {"MD5": MD5, "AlternativeHashes": [{"HashName": "MD5", "HashValue": OTHER}]}]  # fmt: skip
    found = read(vics(media))
    reasons = [e.reason for e in found if isinstance(e, Dropped)]
    assert reasons == [
        "hash of zero bytes", "no usable hash", "unparsable md5", "no usable hash", "no usable hash",
        "a medium that is no object", "unparsable sha1", "second, different md5 of one medium",
    ]  # fmt: skip
    assert len(found) - len(reasons) == 2


NIST = vics([{"MD5": MD5, "Category": 8, "MediaSize": "5"}], OLD, ("1.2", "Media"))


def test_a_hash_that_is_no_text_is_said():
    found = read(vics([{"MD5": 12345, "SHA1": "c3499c2729730a7f807efb8676a92dcb6f8a3f8f"}, {"MD5": None, "SHA1": " "}]))
    assert [each.reason for each in found if isinstance(each, Dropped)] == ["unparsable md5", "no usable hash"]


@pytest.mark.parametrize("kind", [HashSetKind.ALERT, HashSetKind.REFERENCE])
def test_nists_known_good_is_never_taken_for_an_alert(kind):
    with pytest.raises(Refused, match="known-good"):
        read(NIST, kind)
    assert len(entries(NIST, HashSetKind.KNOWN_GOOD)) == 1


@pytest.mark.parametrize("code", [0, 1, 2, None])
def test_an_alert_list_is_never_taken_for_known_good(code):
    for data in (vics([{"MD5": MD5, "Category": code}]), vics([{"MD5": MD5, "Category": code}], OLD, ("1.2", "Media"))):
        with pytest.raises(Refused, match="no list of known-good"):
            read(data, HashSetKind.KNOWN_GOOD)
    with pytest.raises(Refused):
        read(vics([{"MD5": MD5, "Category": 8}]), HashSetKind.KNOWN_GOOD)


@pytest.mark.parametrize(
    "data",
    [vics([{"MD5": MD5}])[:-2], b"{}", vics([]), vics([{"MD5": MD5}], ("@odata.context", "other{}{}")),
     json.dumps({NEW[0]: NEW[1].format("US", "Media"), "values": [1]}).encode()],
    ids=["cut", "no model", "no media", "another model", "no list"],
)  # fmt: skip
def test_what_breaks_is_refused_whole(data):
    with pytest.raises(Damaged):
        read(data)


def test_deep_nesting_and_endless_strings_are_refused_before_they_cost_anything():
    for bad in (b"[" * 200, b'{"a":' * 200, b'"' + b"x" * (17 << 20)):
        data = vics([{"MD5": MD5}])[:-2] + b"," + bad
        with pytest.raises(Damaged, match=r"nests deeper|a string of more"):
            read(data)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
       st.integers(1, 9))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_bound_is_the_depth_and_brackets_in_strings_are_none(value, step):
    def depth(one):
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        for limit, fits in ((depth(value), True), (depth(value) - 1, False)):
            stream = Bounded(io.BytesIO(text), depth=limit)
            refused = False
            try:
                while stream.read(step):
                    pass
            except Damaged:
                refused = True
            assert refused != fits or depth(value) == 0


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_the_bound_on_strings_holds_over_the_edges_of_reads(step):
    for text, longest in ((b'["abc", "\\"d", "ef"]', 5), (b'["' + b"x" * 50 + b'"]', 51), (b'{"a":"' + b"y" * 20, 21)):
        for limit, fits in ((longest, True), (longest - 2, False)):
            stream = Bounded(io.BytesIO(text), string=limit)
            refused = False
            try:
                while stream.read(step):
                    pass
            except Damaged:
                refused = True
            assert refused != fits, (text, limit)
