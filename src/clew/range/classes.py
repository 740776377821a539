"""The classes of peers by name: what each is, and what of it is data. How a subject of a class acts: `shapes`.

"A subject" is planted and to be found; "a bystander" is one among whom subjects hide, and no bytes of it ever claim a
piece inside a watched file (a promiscuous one claims everything for everybody; that is the point of it).
"""

from dataclasses import dataclass

from clew.range.scenario import Carrier, Manner, Saying, Source

ANY_CARRIER = frozenset(Carrier)
ENCRYPTED = frozenset({Carrier.MSE_TCP, Carrier.MSE_UTP})
OVER_UTP = frozenset({Carrier.UTP, Carrier.MSE_UTP})
NOBODY: frozenset[Carrier] = frozenset()

REST_OF_SUBJECTS, REST_OF_BYSTANDERS = "plain", "torrent-only"
SHARED_NETWORKS = frozenset({"cgnat", "vpn", "tor"})  # hosting and mobile lines may be one party's own


@dataclass(frozen=True, slots=True)
class SubjectClass:
    """One class of subjects. `network` is the kind of block it stays in ("": a line, told by a register or not).

    `group` parties share an address (or hand one over); `listed_by` None means a mix of sources, as of most clients.
    """

    says: str
    network: str = ""
    group: int = 1
    shared: bool = False
    accepts: frozenset[Carrier] = ANY_CARRIER
    listed_by: frozenset[Source] | None = None


SUBJECTS: dict[str, SubjectClass] = {
    "plain": SubjectClass("one client on one line, all the time"),
    "real": SubjectClass("a real libtorrent session", listed_by=frozenset({Source.HTTP})),
    "moved": SubjectClass("changes its address half way"),
    "roaming": SubjectClass("changes its address three times, too often to be met twice at one"),
    "reassigned": SubjectClass("two parties: an endpoint goes from one to the other half way", group=2),
    "cgnat": SubjectClass("four parties behind one address of a carrier-grade NAT", "cgnat", 4, shared=True),
    "household": SubjectClass("two parties behind one address of a home", group=2, shared=True),
    "vpn": SubjectClass("two parties behind one exit of a VPN", "vpn", 2, shared=True),
    "tor": SubjectClass("behind an exit of an anonymity network", "tor", shared=True),
    "hosting": SubjectClass("on a hosted server", "hosting"),
    "mobile": SubjectClass("on a mobile line", "mobile"),
    "disputed": SubjectClass("at an address about whose country the registers disagree", "disputed"),
    "slow": SubjectClass("answers late"),
    "late": SubjectClass("comes when observing has begun"),
    "brief": SubjectClass("there for less than one revisit interval"),
    "superseed": SubjectClass("tells what it has by HAVE alone, a few pieces"),
    "partial": SubjectClass("has a part of the torrent, a piece inside the watched file among it"),
    "lazy": SubjectClass("leaves pieces out of its bitfield, others at each contact, and names them by HAVE after it"),
    "several": SubjectClass("has three watched torrents"),
    "liar": SubjectClass("claims pieces that it has not: its bitfield shrinks from contact to contact"),
    "boundary": SubjectClass("has only pieces that touch the watched file and another one"),
    "wrong-length": SubjectClass("sends a bitfield of the wrong length"),
    "encrypted-only": SubjectClass("takes MSE alone", accepts=ENCRYPTED),
    "utp-only": SubjectClass("takes uTP alone", accepts=OVER_UTP),
    "nat": SubjectClass("behind a NAT: listed, nobody is reachable there", accepts=NOBODY),
    "unlisted": SubjectClass("listed nowhere", listed_by=frozenset()),
    "udp-tracker-only": SubjectClass("listed by the UDP tracker alone", listed_by=frozenset({Source.UDP})),
    "dht-only": SubjectClass("listed in the DHT alone", listed_by=frozenset({Source.DHT})),
    "pex-only": SubjectClass("named by other peers alone (PEX)", listed_by=frozenset({Source.PEX})),
}


@dataclass(frozen=True, slots=True)
class BystanderClass:
    """One class of bystanders. `sayings` empty means that it claims pieces outside the watched file."""

    says: str
    manner: Manner = Manner.ANSWERS
    sayings: tuple[Saying, ...] = ()
    accepts: frozenset[Carrier] = ANY_CARRIER


BYSTANDERS: dict[str, BystanderClass] = {
    "torrent-only": BystanderClass("has pieces of a watched torrent, none of the watched file"),
    "boundary": BystanderClass("has only pieces that touch the watched file and another one"),
    "nothing": BystanderClass("has nothing yet", sayings=(Saying.NONE, Saying.EMPTY)),
    "wrong-length": BystanderClass("sends a bitfield of the wrong length", sayings=(Saying.WRONG_LENGTH,)),
    "spare-bits": BystanderClass("sends a bitfield with spare bits set", sayings=(Saying.SPARE_BITS,)),
    "neighbour": BystanderClass("behind the same carrier-grade NAT as a subject"),
    "unwatched": BystanderClass("in a torrent that nobody watches", sayings=(Saying.WHOLE,)),
    "framed": BystanderClass(
        "in a torrent that nobody watches; somebody has its address listed for a watched one", sayings=(Saying.WHOLE,)
    ),
    "stale": BystanderClass("still listed, gone since before observing began"),
    "closes": BystanderClass("closes every connection", Manner.CLOSES),
    "refuses": BystanderClass("nobody listens there", Manner.REFUSES, accepts=NOBODY),
    "silent": BystanderClass("accepts and never speaks", Manner.SILENT),
    "promiscuous": BystanderClass("answers for any infohash and claims it whole", Manner.ECHOES, (Saying.WHOLE,)),
    "other-infohash": BystanderClass("answers for another infohash than it was asked for", Manner.OTHER),
    "giant": BystanderClass("announces a message of 2 GiB", Manner.GIANT),
    "garbage": BystanderClass("sends garbage", Manner.GARBAGE),
    "malformed": BystanderClass("sends messages whose length or content none may have", Manner.MALFORMED),
    "drip": BystanderClass("sends a byte a second", Manner.DRIP),
    "endless": BystanderClass("sends a bencoded dictionary that never ends", Manner.ENDLESS),
    "pex-flood": BystanderClass("floods with PEX messages of thousands of endpoints", Manner.PEX_FLOOD),
    "endless-pad": BystanderClass("never ends the padding of its MSE handshake", Manner.ENDLESS_PAD),
    "absurd": BystanderClass("sends uTP packets with absurd numbers", Manner.ABSURD),
}
