"""Derives every Sighting again from its transcript, its run's policy and its Watch, without clock, network or chance.

What must come out is what was kept: the same finding, the same bytes sent, the same tier and the same mark of
promiscuity. It shows that what is claimed follows from the bytes; that the bytes were received at all is shown by an
independent capture. What was forgotten under retention (E0) carries no claim, so nothing later rests on it.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from clew.core import plugins, shards, watch
from clew.core.case import Case
from clew.core.derived import Derived
from clew.core.errors import ClewError, Damaged
from clew.model import Claim, Missing, Reason, SightingKind, Tier, Watch, carrier
from clew.observe import transports
from clew.observe.api import ENTROPY_BYTES, Contact, Conversation, Limits, Network, Sighted, Target
from clew.observe.basis import OUR_CONTACT, Basis, basis, same_place
from clew.observe.calls import peer_id_of, target_of
from clew.observe.endpoints import Endpoint
from clew.observe.rows import tool
from clew.observe.run import NETWORKS
from clew.observe.tiers import about_twin, undecided, weigh
from clew.observe.transcript import CLOSED, TIME, Kind, Segment, decode

COMPARED = (
    "claim", "infohash_echoed", "peer_id", "reserved", "client", "listen_port", "pieces_claimed", "inner_claimed",
    "pieces_total",
)  # fmt: skip
OTHERS = (SightingKind.CAPTURED.value, SightingKind.IMPORTED.value)
SQL = "SELECT * FROM sightings ORDER BY list_position($runs, run) NULLS FIRST, sequence, id"
BATCH = 1_000
EARLIER = "kept by an earlier version, without what a replay needs"
UNREAD = "extension handshake"
TOO_LITTLE = "too little of the list was kept around the endpoint"


def replay(case: Case) -> Derived:
    """Derives every Sighting of the case again, in the order in which they were taken."""
    grounds = basis(case)
    found, hashed = Derived(), hashlib.sha256()
    state = _State(grounds, {each.id: each for each in watch.all_of(case)})
    for row in _rows(case, grounds):
        said = state.derive(row, found)
        if said is not None:
            hashed.update(json.dumps(said, sort_keys=True).encode())
    found.digest = hashed.hexdigest()
    return found


def _rows(case: Case, grounds: Basis) -> Iterator[dict[str, Any]]:
    """In the order in which they were taken: by run, then by their number in it. Few of them are in memory at once."""
    runs = sorted(grounds.runs, key=lambda each: grounds.runs[each].number)
    for batch in shards.query(case, SQL, {"runs": runs}).to_batches(max_chunksize=BATCH):
        yield from batch.to_pylist()


@dataclass(slots=True)
class _State:
    """What the book knew when a Sighting was taken."""

    grounds: Basis
    watches: dict[str, Watch]
    endpoints: dict[tuple[str, str, int], Endpoint] = field(default_factory=dict)
    promiscuous: set[tuple[str, int]] = field(default_factory=set)
    unknown: set[tuple[str, str, int]] = field(default_factory=set)
    networks: dict[str, Network] = field(default_factory=dict)

    def derive(self, row: dict[str, Any], found: Derived) -> list[Any] | None:
        """Derives one Sighting and compares; returns what came out, or None where it cannot be derived."""
        if row["kind"] in OTHERS:
            found.not_derived["recorded by others, read by other rules"] += 1
            return None
        network = self._network(row["tool"])
        why = self._underivable(row, network)
        if why or network is None:
            found.not_derived[why] += 1
            self._lose(row)
            return None
        wrong = self.grounds.wrong(row, network.name)
        said: list[Any] = [row["id"], row["kind"], row["address"], row["port"]]
        empty = row["kind"] == SightingKind.OURSELVES.value or _wordless(row)
        if not empty and row["run"] in self.grounds.runs:
            said += self._again(row, network, wrong)
        if said[-1] == TOO_LITTLE and not wrong:
            found.not_derived[TOO_LITTLE] += 1
            return said
        if row["kind"] in OUR_CONTACT and (row["watch"], row["address"], row["port"]) in self.unknown:
            found.not_derived["the tier alone: not all that was there before could be derived"] += 1
        name = f"{row['kind']} {row['tier']}"
        if wrong or not empty:
            found.compare(name, row["id"], wrong)
        else:
            found.empty[name] += 1
        return [*said, *wrong]

    def _network(self, made_by: str | None) -> Network | None:
        """The plug-in that a Sighting's `tool` names: "clew VERSION NETWORK VERSION"; None without one."""
        parts = (made_by or "").split(" ")
        if len(parts) != 4:
            return None
        if parts[2] not in self.networks:
            try:
                self.networks[parts[2]] = plugins.load(NETWORKS, parts[2])
            except ClewError:
                return None
        return self.networks[parts[2]]

    def _underivable(self, row: dict[str, Any], network: Network | None) -> str:
        if row["run"] is None:
            return EARLIER
        if network is None or row["tool"].split(" ")[3] != network.version:
            mine = tool(network.name, network.version).split(" ", 2)[2] if network else "no such network"
            return f"made by another version ({row['tool']}; this clew has {mine})"
        run = self.grounds.runs.get(row["run"])
        if run is not None and run.limits is None:
            return "its run had a policy that this version does not know"
        if row["kind"] not in (*SightingKind,):
            return f"{row['kind']}: a kind that this version does not know"
        return ""

    def _again(self, row: dict[str, Any], network: Network, wrong: list[str]) -> list[Any]:
        """What follows from the bytes; adds to `wrong` where it is not what was kept."""
        try:
            if row["kind"] == SightingKind.LISTED.value:
                return _listed(row, network, wrong)
            contact = self._contact(row, network, wrong)
        except (Damaged, ValueError, KeyError) as error:
            wrong.append(f"its transcript cannot be played ({error})")
            self._lose(row)
            return []
        return self._weighed(row, contact, wrong)

    def _lose(self, row: dict[str, Any]) -> None:
        """From here on, what was known of this endpoint is not known in a replay."""
        if row["kind"] in OUR_CONTACT:
            self.unknown.add((row["watch"], row["address"], row["port"]))

    def _contact(self, row: dict[str, Any], network: Network, wrong: list[str]) -> Contact:
        """Plays the transcript; returns what the peer said by it."""
        segments = decode(row["transcript"])
        entropy = next((s.data for s in segments if s.kind is Kind.ENTROPY), b"")
        if len(entropy) != ENTROPY_BYTES:
            raise Damaged("it does not hold what was drawn at random")
        control = row["kind"] == SightingKind.CONTROL.value
        random = row["infohash_sent"] if control else None
        target = target_of(self.watches[row["watch"]], row["infohash_sent"], peer_id_of(entropy), random)
        limits = self.grounds.runs[row["run"]].limits
        assert limits is not None
        sighted = _played(network, target, limits, row, segments, entropy)
        if sighted is None or not isinstance(sighted.finding, Contact):
            wrong.append("it does not end")
            return Contact()
        contact = sighted.finding
        if not control and row["infohash_sent"] not in target.accepted:
            wrong.append("the infohash sent is not the Watch's")
        wrong += [] if _sent(decode(sighted.transcript)) == _sent(segments) else ["other bytes are sent"]
        wrong += [] if row["transport"] in _names(contact, row["transport"]) else ["transport"]
        said = {name: getattr(contact, name) for name in COMPARED} | {"claim": contact.claim.value}
        wrong += [name for name in COMPARED if said[name] != row[name]]
        missing = undecided(contact) if control else contact.missing
        told = _told(missing.reason.value, missing.detail) if missing else (None, None)
        wrong += ["missing"] if told != _told(row["missing"], row["missing_detail"]) else []
        return contact

    def _weighed(self, row: dict[str, Any], contact: Contact, wrong: list[str]) -> list[Any]:
        """The tier and the mark of promiscuity, as they follow from this and all before."""
        key, place = (row["watch"], row["address"], row["port"]), (row["address"], row["port"])
        promiscuous = place in self.promiscuous
        if row["kind"] == SightingKind.CONTROL.value:
            promiscuous = contact.infohash_echoed is not None
            self.promiscuous |= {place} if promiscuous else set()
            tier, repeats = Tier.LISTED, None
        else:
            run = self.grounds.runs[row["run"]]
            endpoint = self.endpoints.setdefault(key, Endpoint(0, *key, 0, 0, ""))
            at_ns = row["monotonic_ns"] + run.base_ns
            sent, over = row["infohash_sent"], carrier(row["transport"])
            twin = about_twin(contact, sent, sent_twin=sent != self.watches[row["watch"]].infohash_v1)
            tier, repeats = weigh(endpoint, contact, row["id"], at_ns, run.interval_ns, over, twin=twin)
        if key not in self.unknown:
            wrong += ["tier"] if tier.value != row["tier"] else []
            wrong += ["what it repeats"] if repeats != row["repeats"] else []
            wrong += ["promiscuous"] if promiscuous != row["promiscuous"] else []
        return [tier.value, repeats, contact.claim.value, contact.pieces_claimed, contact.inner_claimed]


def _played(
    network: Network, target: Target, limits: Limits, row: dict[str, Any], segments: list[Segment], entropy: bytes
) -> Sighted | None:
    """The contact again. Whether it asked for gossip shows in what was sent."""
    filled, sighted = network.filled(segments, row["infohash_sent"]), None
    for gossip in (False, True):
        asked = replace(target, gossip=gossip and not target.control)
        sighted = play(network.contact(asked, limits, transports.dialled(row["transport"]), entropy), filled)
        if sighted is not None and _sent(decode(sighted.transcript)) == _sent(segments):
            break
    return sighted


def play(talk: Conversation, segments: list[Segment]) -> Sighted | None:
    """Feeds a transcript without gaps to a conversation; returns how it ends, None where it does not.

    Time passes only where the transcript says that it ended the conversation: when a timer was looked at in between
    decides nothing but what is sent again, and that is not compared.
    """
    parts = deque(s for s in segments if s.kind in (Kind.RECEIVED, Kind.RECEIVED_HEADER, Kind.END))
    sent = next((s for s in segments if s.kind in (Kind.SENT, Kind.SENT_HEADER)), None)
    events = talk.opened(sent.at_ns) if sent else []
    while parts:
        part = parts.popleft()
        data = part.data
        if part.kind is Kind.RECEIVED_HEADER:  # a datagram: the header, and what became readable by it
            while parts and parts[0].kind is Kind.RECEIVED:
                data += parts.popleft().data
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


def _told(reason: str | None, detail: str | None) -> tuple[str | None, str | None]:
    """Why something is missing. What could not be read is not kept: that it could not is derived, not how it broke."""
    return reason, UNREAD if detail and detail.startswith(f"{UNREAD}: ") else detail


def _wordless(row: dict[str, Any]) -> bool:
    """Whether it holds no bytes and says nothing of anybody."""
    silent = row["claim"] == Claim.NOTHING_SAID.value and all(row[name] is None for name in COMPARED if name != "claim")
    lowest = row["tier"] == Tier.LISTED.value and row["repeats"] is None
    return not row["transcript"] and row["missing"] is not None and silent and lowest


def _names(contact: Contact, dialled: str) -> tuple[str, ...]:
    """What the transport may be called: as it was negotiated, else as it was dialled."""
    return (contact.transport,) if contact.transport else (transports.dialled(dialled),)


def _listed(row: dict[str, Any], network: Network, wrong: list[str]) -> list[Any]:
    """The endpoint, read again from what was kept of the list."""
    found = network.listed(decode(row["transcript"]), row["source"])
    if found is None:
        return [TOO_LITTLE]
    if len(found) != 1 or not same_place(found[0], (row["address"], row["port"])):
        wrong.append("the list that was kept names another endpoint, or none, or more")
    wrong += ["tier"] if (row["tier"], row["claim"]) != (Tier.LISTED.value, Claim.NOTHING_SAID.value) else []
    return [list(each) for each in found]
