r"""Mandates: the legal basis of every act, signed by an authority whose key is not on the operator's machine.

A signed document is canonical JSON {"body", "key", "kind", "signature"}; the signature is Ed25519 (RFC 8032) over
"clew " + kind + " v1\n" + canonical JSON of body. It is checked again at each use, so that an altered row of case.db
is as worthless as an altered file.
"""

import ipaddress
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import clock, keys
from clew.core.case import Case
from clew.core.errors import Damaged, Refused, Usage
from clew.core.ledger import canonical
from clew.core.names import check_country
from clew.model import Mandate

PURPOSES = ("observe", "attribute", "intake", "match", "identify", "review", "share")
PERMITS = ("started_announce", "plaintext", "plaintext_first", "dht", "pex")
LISTS = ("purposes", "networks", "addresses", "countries", "trackers", "exhibits", "permits")
ASK = "ask the authority for a Mandate that covers it, then: clew mandate add CASE FILE"


def sign_document(kind: str, body: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The signed document of `kind` ("mandate" or "watch")."""
    signature = keys.sign(key, _signed_bytes(kind, body))
    return _envelope(kind, body, keys.public_hex(key), signature)


def open_document(kind: str, document: bytes, authority: str) -> dict[str, Any]:
    """The body, once the signature of `authority` (64 hexadecimal digits) holds over it.

    Raises Refused for an unsigned document, one of another kind or of another key, Damaged where the signature does
    not hold.
    """
    try:
        envelope = json.loads(document)
        body, key, signature = envelope["body"], envelope["key"], bytes.fromhex(envelope["signature"])
        signed = _signed_bytes(kind, body)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"this is no signed {kind}", "an authority signs one: clew key sign") from error
    if envelope.get("kind") != kind or not isinstance(body, dict):
        raise Refused(f"this is not a {kind}, but a {envelope.get('kind')}", f"give a signed {kind}")
    if key != authority:
        raise Refused(f"this {kind} is signed by another key than this case's authority", ASK)
    try:
        keys.verify(authority, signed, signature)
    except Damaged as error:
        raise Damaged(f"the signature of this {kind} does not hold", "it was altered after it was signed") from error
    if _envelope(kind, body, key, signature) != document:
        raise Refused(f"this {kind} is signed, but not written as canonical JSON", "give the file as it was signed")
    return body


def stored(kind: str, document: object, case: Case) -> dict[str, Any]:
    """The body of a document as case.db holds it. Raises Refused or Damaged as `open_document`."""
    return _stored(kind, document, case.settings.authority)


def _stored(kind: str, document: object, authority: str) -> dict[str, Any]:
    if not isinstance(document, bytes):
        raise Damaged(f"the signature of this {kind} does not hold", "its row in case.db was altered")
    return open_document(kind, document, authority)


@lru_cache(maxsize=256)
def _mandate(document: object, authority: str) -> Mandate:
    """What is stored as a Mandate. The same bytes under the same key give the same: they are not checked twice."""
    return from_body(_stored("mandate", document, authority))


def add(case: Case, document: bytes) -> Mandate:
    """Takes a signed Mandate into the case. Adding the same one again changes nothing.

    Raises Usage where a country of a new one is no code. What earlier versions took stays as it is.
    """
    mandate = from_body(open_document("mandate", document, case.settings.authority))
    with case.write("core") as tx, tx.gate.core():
        known = tx.execute("SELECT document FROM mandates WHERE id=?", (mandate.id,)).fetchone()
        if known is not None and bytes(known[0]) != document:
            raise Refused("another Mandate with this id is here already", "ask for one with an id of its own")
        if known is None:
            _check_countries(mandate)
            tx.execute("INSERT INTO mandates VALUES (?,?,?)", (mandate.id, document, clock.now().utc_ns))
            tx.record(
                "mandate.added", subject={"mandate": mandate.id, "operation": mandate.operation}, mandate=mandate.id
            )
    return mandate


def all_of(case: Case) -> list[Mandate]:
    """Every Mandate of the case as its bytes now are. Raises Damaged where a signature does not hold."""
    rows = case.read().execute("SELECT document FROM mandates ORDER BY added_ns, id")
    return [_mandate(row[0], case.settings.authority) for row in rows]


def require(
    case: Case,
    *,
    purpose: str,
    at_ns: int,
    network: str | None = None,
    address: str | None = None,
    country: str | None = None,
    tracker: str | None = None,
    exhibit: str | None = None,
    permit: str | None = None,
) -> Mandate:
    """The first Mandate that covers all of it. Raises Refused, naming what is out of scope, where none does."""
    wanted = {"network": network, "country": country, "tracker": tracker, "exhibit": exhibit, "permit": permit}
    return covering(all_of(case), purpose=purpose, at_ns=at_ns, address=address, **wanted)


def covering(
    mandates: Iterable[Mandate], *, purpose: str, at_ns: int, address: str | None = None, **wanted: str | None
) -> Mandate:
    """As `require`, among Mandates whose signatures were checked a moment ago: `all_of` gives them."""
    reasons = []
    for mandate in mandates:
        reason = outside(mandate, purpose, at_ns, address, wanted)
        if reason is None:
            return mandate
        reasons.append(f"Mandate {mandate.id[:8]}: {reason}")
    if not reasons:
        raise Refused(f"no Mandate allows to {purpose} in this case", ASK)
    raise Refused(f"no Mandate covers this: {'; '.join(reasons)}", ASK)


def from_body(body: dict[str, Any]) -> Mandate:
    """The Mandate of a body; times are ISO 8601 with a zone. Raises Usage, naming the field that is wrong."""
    try:
        lists = {name: _texts(name, body[name]) for name in LISTS}
        for name, known in (("purposes", PURPOSES), ("permits", PERMITS)):
            for value in lists[name]:
                if value not in (*known, "*"):
                    raise Usage(f"a Mandate's {name} know no {value!r}", f"there are: {', '.join(known)}")
        for network in lists["addresses"]:
            if network != "*":
                ipaddress.ip_network(network)
        return Mandate(
            id=str(body["id"]),
            operation=str(body["operation"]),
            authority=str(body["authority"]),
            not_before_ns=parse_time(body["not_before"]),
            not_after_ns=parse_time(body["not_after"]),
            **lists,
        )
    except KeyError as error:
        raise Usage(f"a Mandate needs the field {error.args[0]!r}", "draft one with: clew mandate draft") from error
    except ValueError as error:
        raise Usage(f"a Mandate's field cannot be read: {error}", "draft one with: clew mandate draft") from error


def from_draft(body: dict[str, Any]) -> Mandate:
    """As `from_body`, of one that is to be signed. Raises Usage also where a country is no code."""
    mandate = from_body(body)
    _check_countries(mandate)
    return mandate


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an ISO 8601 time with a zone. Raises ValueError without one."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _check_countries(mandate: Mandate) -> None:
    for code in mandate.countries:
        if code != "*":
            check_country(code)


def _envelope(kind: str, body: dict[str, Any], key: str, signature: bytes) -> bytes:
    return canonical({"body": body, "key": key, "kind": kind, "signature": signature.hex()}).encode()


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{name} is no list of texts")
    return tuple(value)


def _signed_bytes(kind: str, body: dict[str, Any]) -> bytes:
    return f"clew {kind} v1\n{canonical(body)}".encode()


def outside(
    mandate: Mandate, purpose: str, at_ns: int, address: str | None, wanted: Mapping[str, str | None]
) -> str | None:
    """Why this Mandate does not cover it, None where it does; `wanted` names what is asked of its scopes."""
    if not mandate.not_before_ns <= at_ns <= mandate.not_after_ns:
        # Without the moment asked about: a run is refused thousands of times, and its account counts equal words.
        return f"valid {clock.iso(mandate.not_before_ns)} to {clock.iso(mandate.not_after_ns)}, and not at this time"
    if purpose not in mandate.purposes and "*" not in mandate.purposes:
        return f"not for the purpose {purpose!r}"
    scopes = {
        "network": mandate.networks,
        "country": mandate.countries,
        "tracker": mandate.trackers,
        "exhibit": mandate.exhibits,
        "permit": mandate.permits,
    }
    for name, value in wanted.items():
        if value is not None and value not in scopes[name] and "*" not in scopes[name]:
            return f"the {name} {value!r} is out of scope"
    if address is not None and not _covers(mandate.addresses, address):
        return f"the address {address} is out of scope"
    return None


@lru_cache(maxsize=4_096)
def _covers(networks: tuple[str, ...], address: str) -> bool:
    if "*" in networks:
        return True
    there = ipaddress.ip_address(address)
    return any(there in ipaddress.ip_network(network) for network in networks)
