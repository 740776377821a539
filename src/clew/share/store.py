"""The attached store of a received Bundle: its facts as SQLite tables, each row with its origin in the key.

Read from the Bundle's own files (CASE/UCO, VICS, JSON lines) after they were verified. It is never written again.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import ijson

from clew.core.errors import Damaged
from clew.share import manifest
from clew.share.manifest import Manifest

LEADS, KNOWN = "data/leads.case.jsonld", "data/known-hashes.vics.json"
AGAIN = "ask the sender for the bundle again"
COPY, TIMES = ("bundle", "created", "rank"), ("address", "port", "transport", "from", "to")
SCHEMA = """
CREATE TABLE origin (origin TEXT PRIMARY KEY, sender TEXT, sender_case TEXT, operation TEXT, created TEXT, tool TEXT,
  build TEXT, manifest TEXT) WITHOUT ROWID;
CREATE TABLE leads (origin TEXT, id TEXT, rank INTEGER, score REAL, tier TEXT, torrent_only INTEGER, country TEXT,
  network_kind TEXT, statement TEXT, reasons TEXT, caveats TEXT, against TEXT, lookups TEXT, child_at_risk TEXT,
  expires TEXT, PRIMARY KEY (origin, id)) WITHOUT ROWID;
CREATE TABLE intervals (origin TEXT, id TEXT, lead TEXT, address TEXT, port INTEGER, transport TEXT, from_time TEXT,
  to_time TEXT, tier TEXT, watch TEXT, PRIMARY KEY (origin, id)) WITHOUT ROWID;
CREATE TABLE sightings (origin TEXT, id TEXT, watch TEXT, tier TEXT, address TEXT, port INTEGER, started_ns INTEGER,
  facts TEXT, PRIMARY KEY (origin, id)) WITHOUT ROWID;
CREATE TABLE known_hashes (origin TEXT, number INTEGER, sha256 BLOB, sha1 BLOB, md5 BLOB, size INTEGER, media_type TEXT,
  category TEXT, comments TEXT, PRIMARY KEY (origin, number)) WITHOUT ROWID;
CREATE TABLE taken_back (origin TEXT, lead TEXT, why TEXT, bundles TEXT, intervals TEXT, PRIMARY KEY (origin, lead))
  WITHOUT ROWID;
CREATE TABLE ledger (origin TEXT, seq INTEGER, line TEXT, PRIMARY KEY (origin, seq)) WITHOUT ROWID;
"""


def build(path: Path, folder: Path, read: Manifest) -> None:
    """Makes the store of the verified bag in `folder`. Raises Damaged naming the file that is not what it should be."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous=FULL")
        conn.executescript(SCHEMA)
        conn.execute("BEGIN IMMEDIATE")
        _fill(conn, folder, read)
        conn.execute("COMMIT")


def _fill(conn: sqlite3.Connection, folder: Path, read: Manifest) -> None:
    text = (folder / manifest.NAME).read_text("utf-8")
    row = (read.bundle, read.sender, read.case, read.operation, read.created, read.tool, read.build, text)
    conn.execute("INSERT INTO origin VALUES (?,?,?,?,?,?,?,?)", row)
    sources = (
        (LEADS, "leads", 15, _leads(folder)),
        (LEADS, "intervals", 10, _intervals(folder)),
        (manifest.SIGHTINGS, "sightings", 8, _sightings(folder)),
        (KNOWN, "known_hashes", 9, _known(folder)),
        (manifest.TAKEN_BACK, "taken_back", 5, _taken_back(folder)),
        (manifest.LEDGER, "ledger", 3, _ledger(folder)),
    )
    for name, table, columns, rows in sources:
        places = ",".join("?" * columns)
        with _readable(name):
            conn.executemany(f"INSERT INTO {table} VALUES ({places})", ((read.bundle, *row) for row in rows))  # noqa: S608
    for table, count in (("leads", "leads"), ("known_hashes", "known_hashes")):
        there = conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        if there != read.counts[count]:
            raise Damaged(f"{table}: {there} are in the bundle, manifest.json counts {read.counts[count]}", AGAIN)


def _graph(folder: Path) -> list[dict[str, Any]]:
    with (folder / LEADS).open("rb") as file:
        nodes = json.load(file)["@graph"]
    return [node for node in nodes if isinstance(node, dict)]


def _leads(folder: Path) -> Iterator[tuple[Any, ...]]:
    for node in _graph(folder):
        if "clew:Lead" in node["@type"]:
            yield (
                node["case-investigation:exhibitNumber"],
                node["clew:rank"],
                float(node["clew:score"]["@value"]),
                node["clew:tier"],
                node["clew:torrentOnly"],
                node["clew:country"],
                node["clew:networkKind"],
                "; ".join(node["uco-core:description"]),
                *(json.dumps(node.get(f"clew:{name}", [])) for name in ("reason", "caveat", "against", "lookup")),
                _alarms(node.get("clew:childAtRisk")),
                node["clew:expires"]["@value"],
            )


def _alarms(told: str | list[str] | None) -> str | None:
    """The reasons as a JSON list; an earlier clew sent the first one alone, as a text."""
    return json.dumps([told] if isinstance(told, str) else told) if told else None


def _intervals(folder: Path) -> Iterator[tuple[Any, ...]]:
    graph = _graph(folder)
    nodes = {node["@id"]: node for node in graph}
    for lead in graph:
        if "clew:Lead" not in lead["@type"]:
            continue
        for ref in lead["uco-core:object"]:
            node = nodes[ref["@id"]]
            facet = node["uco-core:hasFacet"][0]
            address = nodes[facet["uco-observable:dst"][0]["@id"]]["uco-core:hasFacet"][0]
            yield (
                node["@id"],
                lead["case-investigation:exhibitNumber"],
                address["uco-observable:addressValue"],
                facet["uco-observable:destinationPort"],
                node["clew:transport"],
                facet["uco-observable:startTime"]["@value"],
                facet["uco-observable:endTime"]["@value"],
                node["clew:tier"],
                node["clew:watch"],
            )


def _sightings(folder: Path) -> Iterator[tuple[Any, ...]]:
    with (folder / manifest.SIGHTINGS).open("r", encoding="utf-8") as file:
        for line in file:
            facts = json.loads(line)
            keys = ("id", "watch", "tier", "address", "port", "started_ns")
            yield (*(facts[key] for key in keys), line.rstrip("\n"))


def _known(folder: Path) -> Iterator[tuple[Any, ...]]:
    with (folder / KNOWN).open("rb") as file:
        for media in ijson.items(file, "value.item"):
            other = {each["HashName"]: each["HashValue"] for each in media["AlternativeHashes"]}
            yield (
                media["MediaID"],
                bytes.fromhex(other["SHA256"]),
                bytes.fromhex(media["SHA1"]),
                bytes.fromhex(media["MD5"]),
                media["MediaSize"],
                media["MimeType"],
                str(media["Category"]),
                media["Comments"],
            )


def grades(folder: Path) -> dict[bytes, str]:
    """The grade of each hash of a bag, in words, by SHA-256. Raises Damaged where its list is not one."""
    with _readable(KNOWN):
        return {row[1]: f"{row[6]} ({row[7].rpartition(';')[0]})" for row in _known(folder)}


def taken_back(folder: Path) -> list[dict[str, Any]] | None:
    """What a bag takes back of earlier Bundles; None where an earlier clew made it, which told nothing of that.

    Raises Damaged where its list is not one.
    """
    path = folder / manifest.TAKEN_BACK
    if not path.exists():
        return None
    with _readable(manifest.TAKEN_BACK), path.open("r", encoding="utf-8") as file:
        return [_told(json.loads(line)) for line in file]


def _told(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "lead": str(line["lead"]),
        "why": str(line["why"]),
        "bundles": [{key: each[key] for key in COPY} for each in line["bundles"]],
        "intervals": [{key: each[key] for key in TIMES} for each in line["intervals"]],
    }


def _taken_back(folder: Path) -> Iterator[tuple[Any, ...]]:
    for each in taken_back(folder) or ():
        yield (each["lead"], each["why"], json.dumps(each["bundles"]), json.dumps(each["intervals"]))


def _ledger(folder: Path) -> Iterator[tuple[Any, ...]]:
    with (folder / manifest.LEDGER).open("r", encoding="utf-8") as file:
        for seq, line in enumerate(file):
            yield (seq, line.rstrip("\n"))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """The one place that turns what a signed, but odd file makes the readers say into a refusal naming it."""
    wrong = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError)
    try:
        yield
    except (*wrong, ijson.JSONError, sqlite3.Error) as error:
        raise Damaged(f"{name} cannot be read: {type(error).__name__}: {error}", AGAIN) from error
