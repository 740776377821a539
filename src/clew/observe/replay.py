"""Derives every Sighting again from its transcript, its run's policy and its Watch, without clock, network or chance.

What must come out is what was kept: the same finding, the same bytes sent, the same tier and the same mark of
promiscuity. It shows that what is claimed follows from the bytes; that the bytes were received at all is shown by an
independent capture (`observe.captures`).
"""

import hashlib
import ipaddress
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from clew.core import plugins, shards, watch
from clew.core.case import Case
from clew.model import Claim, Missing, Reason, SightingKind, Tier, Watch, carrier
from clew.observe import transports
from clew.observe.api import SECOND, Contact, Conversation, Limits, Network, Sighted
from clew.observe.calls import peer_id_of, target_of
from clew.observe.endpoints import Endpoint
from clew.observe.policy import Policy
from clew.observe.run import NETWORKS
from clew.observe.tiers import weigh
from clew.observe.transcript import CLOSED, TIME, Kind, Segment, decode

COMPARED = (
    "claim", "infohash_echoed", "peer_id", "reserved", "client", "listen_port", "pieces_claimed", "inner_claimed",
    "pieces_total",
)  # fmt: skip
MOST_SHOWN = 20
OTHERS = (SightingKind.CAPTURED.value, SightingKind.IMPORTED.value)


@dataclass(slots=True)
class Replay:
    """What came out: how many Sightings by kind, how many cannot be derived and why, and those that differ."""

    same: Counter[str] = field(default_factory=Counter)
    not_derived: Counter[str] = field(default_factory=Counter)
    differing: list[str] = field(default_factory=list)
    digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "same": dict(sorted(self.same.items())),
            "not_derived": dict(sorted(self.not_derived.items())),
            "differing": len(self.differing),
            "first_differing": self.differing[:MOST_SHOWN],
            "digest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run's record in the case says."""

    number: int
    limits: Limits
    interval_ns: int
    base_ns: int


def replay(case: Case) -> Replay:
    """Derives every Sighting of the case again, in the order in which they were taken."""
    runs = {row["id"]: _run(row) for row in case.read().execute("SELECT * FROM observe_runs")}
    watches = {each.id: each for each in watch.all_of(case)}
    rows = shards.query(case, "SELECT * FROM sightings").to_pylist()
    ordered = sorted(rows, key=lambda row: (runs[row["run"]].number if row["run"] else 0, row["sequence"] or 0))
    found, hashed, state = Replay(), hashlib.sha256(), _State(runs, watches)
    for row in ordered:
        said = state.derive(row, found)
        if said is not None:
            hashed.update(json.dumps(said, sort_keys=True).encode())
    found.digest = hashed.hexdigest()
    return found


@dataclass(slots=True)
class _State:
    """What the book knew when a Sighting was taken."""

    runs: dict[str, _Run]
    watches: dict[str, Watch]
    endpoints: dict[tuple[str, str, int], Endpoint] = field(default_factory=dict)
    promiscuous: set[tuple[str, int]] = field(default_factory=set)
    unknown: set[tuple[str, str, int]] = field(default_factory=set)
    networks: dict[str, Network] = field(default_factory=dict)

    def derive(self, row: dict[str, Any], found: Replay) -> list[Any] | None:
        """Derives one Sighting and compares; returns what came out, or None where it cannot be derived."""
        kind, place = row["kind"], (row["watch"], row["address"], row["port"])
        if kind in OTHERS:
            found.not_derived["recorded by others, read by other rules"] += 1
            return None
        why = self._underivable(row)
        if why:
            found.not_derived[why] += 1
            self.unknown.add(place)
            return None
        if kind == SightingKind.LISTED.value:
            wrong = [] if _stands_in(row) else ["the address does not stand in the list"]
            said: list[Any] = [row["id"], row["address"], row["port"]]
        else:
            contact, wrong = self._contact(row)
            said = self._weighed(row, contact, wrong)
        if wrong:
            found.differing.append(f"{row['id']}: {', '.join(wrong)}")
        else:
            found.same[f"{kind} {row['tier']}"] += 1
        return [*said, *wrong]

    def _underivable(self, row: dict[str, Any]) -> str:
        if row["run"] is None:
            return "kept by an earlier version, without what a replay needs"
        if row["kind"] not in (SightingKind.LISTED, SightingKind.CONTACT, SightingKind.CONTROL):
            return f"{row['kind']}: nobody's words"
        claimed = row["tier"] != Tier.LISTED.value or row["claim"] != Claim.NOTHING_SAID.value
        if not row["transcript"] and row["missing"] is not None and not claimed:
            return "no connection: there are no bytes, and nothing is claimed"
        return ""

    def _contact(self, row: dict[str, Any]) -> tuple[Contact, list[str]]:
        """Plays the transcript; returns what the peer said by it, and how that differs from what was kept."""
        segments = decode(row["transcript"])
        entropy = next((s.data for s in segments if s.kind is Kind.ENTROPY), b"")
        name = row["tool"].split(" ")[2]
        network = self.networks.setdefault(name, plugins.load(NETWORKS, name))
        control = row["kind"] == SightingKind.CONTROL.value
        random = row["infohash_sent"] if control else None
        target = target_of(self.watches[row["watch"]], row["infohash_sent"], peer_id_of(entropy), random)
        filled = network.filled(segments, row["infohash_sent"])
        limits = self.runs[row["run"]].limits
        dialled, sighted, wrong = transports.dialled(row["transport"]), None, ["other bytes are sent"]
        for gossip in (False, True):  # whether it was asked for gossip shows in what was sent
            talk = network.contact(replace(target, gossip=gossip), limits, dialled, entropy)
            sighted = play(talk, filled)
            if sighted is not None and _sent(decode(sighted.transcript)) == _sent(segments):
                wrong = []
                break
        if sighted is None or not isinstance(sighted.finding, Contact):
            return Contact(), ["it does not end"]
        contact = sighted.finding
        said = {name: getattr(contact, name) for name in COMPARED} | {"claim": contact.claim.value}
        wrong += [name for name in COMPARED if said[name] != row[name]]
        if not control:
            missing = contact.missing
            told = (missing.reason.value, missing.detail) if missing else (None, None)
            wrong += ["missing"] if told != (row["missing"], row["missing_detail"]) else []
        return contact, wrong

    def _weighed(self, row: dict[str, Any], contact: Contact, wrong: list[str]) -> list[Any]:
        """The tier and the mark of promiscuity, as they follow from this and all before."""
        key, place = (row["watch"], row["address"], row["port"]), (row["address"], row["port"])
        if row["kind"] == SightingKind.CONTROL.value:
            if contact.infohash_echoed is not None:
                self.promiscuous.add(place)
            tier, repeats = Tier.LISTED, None
        else:
            run = self.runs[row["run"]]
            endpoint = self.endpoints.setdefault(key, Endpoint(0, *key, 0, 0, ""))
            at_ns = row["monotonic_ns"] + run.base_ns
            tier, repeats = weigh(endpoint, contact, row["id"], at_ns, run.interval_ns, carrier(row["transport"]))
        if key not in self.unknown:
            wrong += ["tier"] if tier.value != row["tier"] else []
            wrong += ["what it repeats"] if repeats != row["repeats"] else []
            wrong += ["promiscuous"] if (place in self.promiscuous) != row["promiscuous"] else []
        return [row["id"], tier.value, repeats, contact.claim.value, contact.inner_claimed]


def play(talk: Conversation, segments: list[Segment]) -> Sighted | None:
    """Feeds a transcript without gaps to a conversation; returns how it ends, None where it does not.

    Time passes only where the transcript says that it ended the conversation: when a timer was looked at in between
    decides nothing but what is sent again, and that is not compared.
    """
    parts = [s for s in segments if s.kind in (Kind.RECEIVED, Kind.RECEIVED_HEADER, Kind.END)]
    sent = next((s for s in segments if s.kind in (Kind.SENT, Kind.SENT_HEADER)), None)
    events = talk.opened(sent.at_ns) if sent else []
    while parts:
        part = parts.pop(0)
        data = part.data
        if part.kind is Kind.RECEIVED_HEADER:  # a datagram: the header, and what became readable by it
            while parts and parts[0].kind is Kind.RECEIVED:
                data += parts.pop(0).data
        if part.kind is not Kind.END:
            events += talk.receive(data, part.at_ns)
        elif part.label == TIME:
            events += talk.tick(part.at_ns)
        else:
            events += talk.closed(part.at_ns, None if part.label == CLOSED else _missing(part.label))
    return next((event for event in events if isinstance(event, Sighted)), None)


def _sent(segments: list[Segment]) -> bytes:
    """The stream that we sent."""
    return b"".join(segment.data for segment in segments if segment.kind is Kind.SENT)


def _missing(text: str) -> Missing:
    reason, _, detail = text.partition(": ")
    return Missing(Reason(reason), detail)


def _stands_in(row: dict[str, Any]) -> bool:
    """Whether the endpoint stands in what was kept of the list: compact (BEP 5, 7, 11, 15, 23), or in words (BEP 3)."""
    kept = [s.data for s in decode(row["transcript"]) if s.kind is Kind.RECEIVED]
    text = row["address"].encode()
    compact = ipaddress.ip_address(row["address"]).packed + row["port"].to_bytes(2, "big")
    return any(compact in data or b"%d:%s" % (len(text), text) in data for data in kept)


def _run(row: Any) -> _Run:
    policy = json.loads(row["config"])
    policy |= {name: tuple(value) for name, value in policy.items() if isinstance(value, list)}
    made = Policy(**policy)
    return _Run(row["number"], made.limits(), int(made.revisit * SECOND), row["steady_ns"])
