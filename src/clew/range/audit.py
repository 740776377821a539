"""The audit of what the observer sends: every message and every announce, judged by what an observer may send at all.

An observer needs a handshake, an extension handshake to clients that know it, and nothing else. It may say that it has
nothing (have_none, to clients that know the Fast extension) and that it wants nothing (choke, not interested). All else
is forbidden: asking, offering, claiming, tagging. So is what is no handshake at all, a connection to an endpoint that
no source lists, a handshake for a torrent that is not on the watch list, and one that comes back too soon. It is the
same rule inside MSE and uTP; `handshakes` counts by what carried them, in the words "tcp", "mse-rc4/tcp",
"mse-plain/tcp", "utp", "mse-rc4/utp" and "mse-plain/utp". An attempt that the peer refused before a whole handshake was
heard (`refused`) is no handshake, and so none that came too soon.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clew.range.fake import EXTENDED, HAVE_NONE, Caller

NAMES = {
    0: "choke", 1: "unchoke", 2: "interested", 3: "not interested", 4: "have", 5: "bitfield", 6: "request", 7: "piece",
    8: "cancel", 9: "port", 13: "suggest", 14: "have_all", 15: "have_none", 16: "reject", 17: "allowed_fast",
    20: "extended",
}  # fmt: skip
HARMLESS = frozenset({0, 3})
EXAMPLES = 50
TOO_SOON = 0.75  # of the revisit interval: a crowded machine may hear the first call late and the second at once


@dataclass(slots=True)
class Audit:
    """Counts per kind of message, and the forbidden ones with who sent what to whom."""

    connections: Counter[str] = field(default_factory=Counter)
    handshakes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    gossiped: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    forbidden: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    canary_bytes_pushed: Counter[str] = field(default_factory=Counter)
    revisit: float = 0.0
    heard: dict[tuple[str, bytes], float] = field(default_factory=dict)

    def forbid(self, what: str, sender: str, to: str) -> None:
        """Counts one thing that no observer may do."""
        self.forbidden[what] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{what}, from {sender} to {to}")

    def greeted(
        self,
        caller: Caller,
        sender: str,
        to: str,
        *,
        at: float = 0.0,
        unwatched: bool = False,
        carrier: str = "tcp",
    ) -> None:
        """Looks at a whole handshake at second `at`: the DHT bit (BEP 5) says "I take part", as an observer never does.

        `unwatched`: its infohash is of a torrent that is not on the watch list.
        """
        self.handshakes[carrier] += 1
        if unwatched:
            self.forbid("handshake for a torrent that is not watched", sender, to)
        before = self.heard.get((to, caller.infohash))
        self.heard[to, caller.infohash] = at
        if before is not None and at - before < TOO_SOON * self.revisit:
            self.forbid("handshake sooner than the revisit interval", sender, to)
        if caller.reserved[7] & 0x01:
            self.forbid("handshake with the DHT bit", sender, to)

    def received(self, kind: int, payload: bytes, *, fast: bool, extended: bool, sender: str, to: str) -> None:
        """Looks at one message; `fast` and `extended` say what both sides know."""
        name = NAMES.get(kind, f"message {kind}")
        self.messages[name] += 1
        if kind in HARMLESS or (kind == HAVE_NONE and fast):
            return
        if kind == EXTENDED and extended and payload[:1] == b"\x00":
            if b"metadata_size" in payload:
                self.forbid("extension handshake that offers metadata", sender, to)
            return
        if kind == EXTENDED and extended:
            name = f"extended message {payload[0] if payload else '?'}"
        self.forbid(name, sender, to)

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "canary_bytes_pushed": self.canary_bytes_pushed.total(),
            "canary_bytes_pushed_by_carrier": dict(self.canary_bytes_pushed),
            "connections": self.connections.total(),
            "connections_by_carrier": dict(self.connections),
            "examples": self.examples,
            "forbidden": dict(self.forbidden),
            "forbidden_messages": sum(self.forbidden.values()),
            "gossiped": dict(self.gossiped),
            "handshakes": self.handshakes.total(),
            "handshakes_by_carrier": dict(self.handshakes),
            "messages": dict(self.messages),
            "refused_by_carrier": dict(self.refused),
        }
