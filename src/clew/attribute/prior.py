"""Prior knowledge: what a person enters by hand about an address or a Subject. Never evidence from the network.

It lies in a table of its own, is never a feature of the ranking, and is shown under its own heading.
"""

import ipaddress
from dataclasses import dataclass

from clew.core import clock, mandate
from clew.core.case import Case, new_id
from clew.core.errors import Usage

HEADING = "entered by hand; not evidence from the network"
PLACES = "SELECT i.subject, i.address, i.port FROM leads JOIN subject_intervals i ON i.subject = leads.subject"


@dataclass(frozen=True, slots=True)
class Prior:
    """One statement, about an address (and port) or a Subject, with its source and who entered it."""

    id: str
    address: str | None
    port: int | None
    subject: str | None
    statement: str
    source: str
    entered_by: str
    at_ns: int


def add(
    case: Case,
    *,
    statement: str,
    source: str,
    address: str | None = None,
    port: int | None = None,
    subject: str | None = None,
) -> Prior:
    """Records a statement. Raises Usage where it is about nothing, or no such thing; Refused without mandate."""
    if (address is None) == (subject is None):
        raise Usage("prior knowledge is about an address or about a subject", "give --address, or --subject")
    if not statement.strip() or not source.strip():
        raise Usage("prior knowledge needs a statement and a source", "say what is known, and from where")
    if port is not None and (address is None or not 0 < port < 65_536):
        raise Usage(f"port {port} fits nothing", "give --port 1..65535 together with --address")
    if address is not None:
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError as error:
            raise Usage(f"{address!r} is no IP address", "write it as 192.0.2.1 or 2001:db8::1") from error
    if subject is not None:
        subject = _subject(case, subject)
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns, address=address)
    prior = Prior(new_id(), address, port, subject, statement, source, case.actor, now_ns)
    with case.write("attribute") as tx:
        tx.execute(
            "INSERT INTO prior_knowledge (id, address, port, subject, statement, source, entered_by, at_ns) "
            "VALUES (?,?,?,?,?,?,?,?)",
            (prior.id, address, port, subject, statement, source, case.actor, now_ns),
        )
        about = {"address": address, "port": port, "subject": subject, "statement": statement, "source": source}
        tx.record("prior.added", subject=about, mandate=basis.id)
    return prior


def all_of(case: Case) -> list[Prior]:
    """Everything entered, oldest first."""
    rows = case.read().execute("SELECT * FROM prior_knowledge ORDER BY at_ns, id")
    return [Prior(**{key: row[key] for key in Prior.__slots__}) for row in rows]


def about(known: list[Prior], *, subject: str, endpoints: set[tuple[str, int]]) -> list[Prior]:
    """What was entered about this Subject, its addresses, or its addresses with port."""
    addresses = {address for address, _ in endpoints}
    return [
        p
        for p in known
        if p.subject == subject or (p.address in addresses if p.port is None else (p.address, p.port) in endpoints)
    ]


def unshown(case: Case) -> list[Prior]:
    """What stands beside no Lead: its Subject is made no more, or became no Lead, or none is at its address (and port).

    A Subject gets another id where an earlier contact comes in, or a run of contacts is cut.
    """
    places = [tuple(row) for row in case.read().execute(PLACES)]
    subjects, endpoints = {subject for subject, _, _ in places}, {(address, port) for _, address, port in places}
    known = all_of(case)
    shown = {p.id for p in about(known, subject="", endpoints=endpoints)}
    return [p for p in known if p.subject not in subjects and p.id not in shown]


def _subject(case: Case, named: str) -> str:
    row = case.read().execute("SELECT id FROM subjects WHERE id=? OR label=?", (named, named)).fetchone()
    if row is None:
        raise Usage(f"there is no subject {named!r}", "see them with: clew leads CASE")
    return str(row["id"])
