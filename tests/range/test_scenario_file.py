"""The scenario file: what it says is what is cast, and whatever is not understood is refused with a hint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Usage
from clew.range.scenario import Carrier, Source
from clew.range.scenario_file import builtins, parse, text_of

SMALL = text_of("small")
CARRIERS, SOURCES = (line for line in SMALL.splitlines() if line.startswith(("carriers", "sources")))


def test_those_that_come_with_clew():
    assert set(builtins()) >= {"full", "small", "large", "light50k"}
    for name in builtins():
        plan = parse(text_of(name))
        assert plan.carriers == set(Carrier)
        assert plan.sources == set(Source)
        assert plan.title
    assert sum(parse(text_of("full")).subjects.values()) == 269
    assert sum(parse(SMALL).subjects.values()) == 56


def test_an_operation_may_offer_less():
    less = SMALL.replace(CARRIERS, 'carriers = ["tcp"]').replace(SOURCES, 'sources = ["http tracker", "dht"]')
    assert parse(less).carriers == {Carrier.TCP}
    assert parse(less).sources == {Source.HTTP, Source.DHT}


def test_counts_and_shares():
    plan = parse(SMALL.replace("real = 3", "real = 0.125").replace("stale = 6", "stale = 0.1"))
    assert plan.subjects["real"] == 7
    assert plan.subjects["plain"] == parse(SMALL).subjects["plain"] - 4
    assert plan.bystanders["stale"] == 21
    assert sum(plan.subjects.values()) == 56
    assert sum(plan.bystanders.values()) == 207


def test_the_order_in_the_file_does_not_matter():
    """The cast is made in the order of the classes, so that two files that say the same make the same operation."""
    one, other = parse(SMALL), parse(SMALL.replace("real = 3\n", "").replace("[subjects]\n", "[subjects]\nreal = 3\n"))
    assert list(one.subjects.items()) == list(other.subjects.items())
    moved = parse(SMALL.replace("moved = 3\n", "").replace("pex-only = 1\n", "pex-only = 1\nmoved = 3\n"))
    assert list(one.subjects.items()) == list(moved.subjects.items())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("watches = 12", "watchs = 12", "did you mean watches"),
        ("revisit = 6.0", "", "has no revisit"),
        ("cgnat = 4", "cg-nat = 4", "did you mean cgnat"),
        ("cgnat = 4", "zzzz = 4", "known: total, plain, real"),
        ("cgnat = 4", "cgnat = -4", "no count"),
        ("cgnat = 4", "cgnat = 1.5", "no count"),
        ("cgnat = 4", "cgnat = true", "no count"),
        ("cgnat = 4", 'cgnat = "4"', "no count"),
        ("cgnat = 4", "plain = 4", "leave it out"),
        ("cgnat = 4", "cgnat = 400", "more than their total"),
        ("total = 56", "", "no count"),
        ("total = 207", "total = 70000", "at most 60000"),
        ("watches = 12", "watches = 2", "watches lies between"),
        ("watches = 12", "watches = 12.0", "no count"),
        ("unwatched_torrents = 4", "unwatched_torrents = 0", "unwatched_torrents is at least 1"),
        ("real_torrents = 2", "real_torrents = 0", "real_torrents is at least 1"),
        ("nameless_watches = 0", "nameless_watches = 11", "together are at most watches"),
        ("real = 3", "real = 3000", "more than their total"),
        ("seconds = 40.0", "seconds = 10.0", "twice revisit"),
        ("seconds = 40.0", "seconds = 1e9", "no time"),
        ("seconds = 40.0", "seconds = nan", "no time"),
        ("seconds = 40.0", "seconds = inf", "no time"),
        ("seconds = 40.0", "seconds = true", "no time"),
        ("switch = 20.0", "switch = 41.0", "above switch"),
        ("handover = 1.5", "handover = 6.0", "handover is shorter"),
        ("rate = 200.0", "rate = 0", "no time or rate"),
        ("at_once = 200", "at_once = 0", "at_once lies between"),
        ("at_once = 200", "at_once = 20000", "at_once lies between"),
        ("announce = 10.0", "", "has no announce"),
        (CARRIERS, 'carriers = ["ucp"]', "known: tcp, mse/tcp, utp, mse/utp"),
        (CARRIERS, "carriers = []", "at least one"),
        (CARRIERS, 'carriers = "tcp"', "known: tcp"),
        (CARRIERS, "carriers = [[]]", "known: tcp"),
        (SOURCES, 'sources = ["lsd"]', "known: http tracker, udp tracker, dht, pex"),
        ('disk = "small"', 'disk = "huge"', "full, small, none"),
        ('disk = "small"', "disk = 1", "no text"),
        ("[subjects]", "subjects = 4\n[xsubjects]", "unknown key"),
        ("[subjects]", "[[subjects]]", "no table"),
        ("watches = 12", "watches = 12\nwatches = 13", "is not TOML"),
        ("watches = 12", "watches == 12", "is not TOML"),
    ],
)
def test_what_is_refused(old, new, says):
    assert SMALL.count(old) >= 1
    with pytest.raises(Usage) as refusal:
        parse(SMALL.replace(old, new, 1))
    assert says in f"{refusal.value.message} {refusal.value.hint}"
    assert refusal.value.hint


def test_files(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(SMALL)
    assert text_of(str(mine)) == SMALL
    with pytest.raises(Usage, match="no scenario"):
        text_of(str(tmp_path / "other.toml"))
    mine.write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="UTF-8"):
        text_of(str(mine))
    mine.write_bytes(b"#" * (1 << 17))
    with pytest.raises(Usage, match="larger"):
        text_of(str(mine))


VALUES = st.one_of(st.integers(), st.floats(), st.booleans(), st.just('"x"'), st.just("[1]"), st.just("{a = 1}"))


@given(st.sampled_from([line.split(" = ")[0] for line in SMALL.splitlines() if " = " in line]), VALUES)
def test_any_value_is_taken_or_refused(key, value):
    told = str(value).lower() if isinstance(value, bool) else str(value)
    lines = [f"{key} = {told}" if line.startswith(f"{key} = ") else line for line in SMALL.splitlines()]
    try:
        plan = parse("\n".join(lines))
    except Usage:
        return
    assert min(plan.subjects.values()) >= 0
    assert sum(plan.subjects.values()) + sum(plan.bystanders.values()) <= 60_000


@given(st.text())
def test_junk_is_refused(text):
    with pytest.raises(Usage):
        parse(text)
