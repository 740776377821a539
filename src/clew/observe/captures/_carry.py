"""Watches on their way into a worker, and Findings on their way out. What comes out is checked field by field: once it
has parsed a stranger's bytes, the worker may be his.
"""

import ipaddress
from dataclasses import asdict
from typing import Any

from clew.core.errors import Damaged
from clew.model import Claim, Missing, Reason, SightingKind
from clew.observe.api import Contact
from clew.observe.taken import MAX_SOURCE, MOST_FLAWS, Account, Finding, Watched, Watchlist
from clew.observe.transcript import decode

HINT = "the file's reader misbehaved; nothing of this file was taken"
TRANSPORTS = ("tcp", "utp", "udp")
KINDS = (SightingKind.CAPTURED, SightingKind.IMPORTED)
MAX_TRANSCRIPT = 1 << 20
MAX_TEXT = 400
MAX_NUMBER = 1 << 62
RAW = ("infohash_echoed", "peer_id", "reserved")


def watched_to(watched: Watched) -> dict[str, Any]:
    """A Watch as JSON."""
    return {
        "id": watched.id,
        "label": watched.label,
        "infohashes": [h.hex() for h in watched.infohashes],
        "whole": [h.hex() for h in watched.whole],
        "pieces": watched.pieces,
        "inner": [watched.inner.start, watched.inner.stop],
    }


def watched_from(told: dict[str, Any]) -> Watched:
    """The Watch of `watched_to`."""
    infohashes, whole = (tuple(map(bytes.fromhex, told[name])) for name in ("infohashes", "whole"))
    return Watched(told["id"], told["label"], infohashes, whole, told["pieces"], range(*told["inner"]))


def written(found: Finding) -> dict[str, Any]:
    """A Finding as JSON, without its transcript."""
    told = {name: getattr(found, name) for name in Finding.__slots__ if name not in ("transcript", "contact")}
    told["infohash"] = found.infohash.hex()
    contact = found.contact
    if contact is not None:
        fields = asdict(contact)
        fields |= {name: value.hex() for name in RAW if (value := fields[name]) is not None}
        fields["missing"] = [contact.missing.reason.value, contact.missing.detail] if contact.missing else None
        del fields["gossip"]
        told["said"] = fields
    return told


def read_finding(told: Any, transcript: bytes, watchlist: Watchlist) -> Finding:
    """The Finding that a worker wrote. Raises Damaged where a field is not what it may be."""
    try:
        decode(transcript)
        watched = watchlist.by_id[told["watch"]]
        infohash = bytes.fromhex(told["infohash"])
        kind = SightingKind(told["kind"])
        sound = kind in KINDS and infohash in watched.infohashes and told["transport"] in TRANSPORTS
        if not sound or len(transcript) > MAX_TRANSCRIPT or type(told["returned"]) is not bool:
            raise ValueError("a field of a finding")
        said = told.get("said")
        return Finding(
            kind=kind,
            watch=watched.id,
            source=_text(told["source"], MAX_SOURCE),
            address=str(ipaddress.ip_address(told["address"])),
            port=_number(told["port"], 1, 65535),
            transport=told["transport"],
            other_address=str(ipaddress.ip_address(told["other_address"])) if told["other_address"] else "",
            other_port=_number(told["other_port"], 0, 65535),
            started_ns=_number(told["started_ns"], 1),
            ended_ns=_number(told["ended_ns"], told["started_ns"]),
            infohash=infohash,
            contact=_contact(said, watched) if said is not None else None,
            returned=told["returned"],
            transcript=transcript,
            tool=_text(told["tool"], MAX_SOURCE),
        )
    except (KeyError, ValueError, TypeError, AttributeError, Damaged) as error:
        raise Damaged(f"a finding that cannot be: {error}", HINT) from error


def read_account(told: Any) -> Account:
    """The account that a worker wrote. Raises Damaged."""
    try:
        account = Account()
        account.counts.update({_text(k, MAX_TEXT): _number(v) for k, v in told["counts"].items()})
        account.flaws = [Missing(Reason(reason), _text(detail, MAX_TEXT)) for reason, detail in told["flaws"]]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Damaged(f"an account that cannot be: {error}", HINT) from error
    if len(account.flaws) > MOST_FLAWS:
        raise Damaged("an account with more flaws than are kept", HINT)
    return account


def _contact(said: dict[str, Any], watched: Watched) -> Contact:
    echoed, peer_id, reserved = (_raw(said[name], size) for name, size in zip(RAW, (20, 20, 8), strict=True))
    claim, answered = Claim(said["claim"]), said["answered"]
    if type(answered) is not bool or answered != (peer_id is not None) or (echoed or b"") not in (
        b"", *watched.infohashes
    ):  # fmt: skip
        raise ValueError("a contact that contradicts itself")
    missing = said["missing"]
    return Contact(
        answered=answered,
        claim=claim,
        infohash_echoed=echoed,
        peer_id=peer_id,
        reserved=reserved,
        client=None if said["client"] is None else _text(said["client"], MAX_TEXT),
        pieces_total=watched.pieces,
        missing=None if missing is None else Missing(Reason(missing[0]), _text(missing[1], MAX_TEXT)),
        listen_port=_optional(said["listen_port"]),
        pieces_claimed=_optional(said["pieces_claimed"]),
        inner_claimed=_optional(said["inner_claimed"]),
    )


def _raw(value: Any, size: int) -> bytes | None:
    data = None if value is None else bytes.fromhex(value)
    if data is not None and len(data) != size:
        raise ValueError("bytes of the wrong length")
    return data


def _number(value: Any, least: int = 0, most: int = MAX_NUMBER) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} as a number")
    return value


def _optional(value: Any) -> int | None:
    return None if value is None else _number(value)


def _text(value: Any, most: int) -> str:
    if type(value) is not str or len(value) > most or not value.isprintable():
        raise ValueError("a text that is none")
    return value
