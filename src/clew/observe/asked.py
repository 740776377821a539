"""When which tracker was last asked for what, and after how long it wants to be asked again, over the end of a run.

Its interval is for whoever asks: runs that a timer starts, or that are stopped and begun again, ask no more often than
one run that goes on. Nodes of the DHT tell no interval, and are taken together: who is asked is found anew each time.
Times are of `observe.steady`.
"""

from collections.abc import Mapping

from clew.core.case import Case
from clew.observe.policy import DHT, named
from clew.observe.steady import Steady

INTEND = """INSERT INTO asked (tracker, infohash, interval_s, intended_ns) VALUES (?,?,?,?)
            ON CONFLICT DO UPDATE SET intended_ns=excluded.intended_ns"""
# Where the question may have been heard, when; else NULL.
ENDED = "UPDATE asked SET intended_ns=0, asked_ns=COALESCE(?, asked_ns), interval_s=? WHERE tracker=? AND infohash=?"
# What was out when a run was killed may have been heard; nobody waits longer because a clock was wrong then.
BEGIN = "UPDATE asked SET asked_ns=MIN(MAX(asked_ns, intended_ns), ?), intended_ns=0"
WAITED = "questions who is there that waited for the end of an interval, told in an earlier run"
Key = tuple[str, bytes]
Asked = Mapping[Key, tuple[int, int]]  # when (monotonic nanoseconds), and the interval in seconds


def key(url: str, infohash: bytes) -> Key:
    """By what it is kept: tracker and infohash, whatever Watches are of it."""
    return DHT if named(url) == DHT else url, infohash


def recall(case: Case, time: Steady) -> Asked:
    """What earlier runs asked."""
    rows = case.read().execute("SELECT tracker, infohash, asked_ns, interval_s FROM asked")
    return {(tracker, infohash): (at_ns - time.base_ns, interval) for tracker, infohash, at_ns, interval in rows}
