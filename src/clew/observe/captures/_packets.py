"""From a frame to what TCP or UDP carried: link layers, VLAN tags, IPv4 and IPv6.

Checksums are not looked at: a capture made on the sending machine has none that hold (offloading). Fragments of IP are
put together where they are of UDP (`_fragments`), else counted; tunnels are not looked into.
"""

from dataclasses import dataclass, replace
from struct import Struct

from clew.observe.captures._fragments import LOST, UDP, UNIT, Fragment, Fragments
from clew.observe.captures._frames import Frame
from clew.observe.taken import Account

# LINKTYPE values of https://www.tcpdump.org/linktypes.html
NULL, ETHERNET, RAW, LOOP, COOKED, COOKED_2, IPV4, IPV6 = 0, 1, 101, 108, 113, 276, 228, 229
PPP, PPP_ETHER = (9, 50), 51
RAW_OLD = (12, 14)  # DLT_RAW of other systems, found in files
ETHER_4, ETHER_6 = 0x0800, 0x86DD  # IEEE 802 numbers (IANA)
VLAN = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, 802.1ad, and its forerunner
MAX_TAGS = 4
PPPOE, PPPOE_BYTES = 0x8864, 6  # a session's data, RFC 2516 sections 4 and 6
ALL_STATIONS = b"\xff\x03"  # RFC 1662 section 3.1: address and control, where they are not left out
PPP_4, PPP_6 = 0x0021, 0x0057  # RFC 1332, RFC 5072
MPLS = (0x8847, 0x8848)  # RFC 5332
PAYLOAD = {ETHERNET: (12, 14), COOKED: (14, 16), COOKED_2: (0, 20)}  # where the EtherType stands, and the rest begins
TCP = 6
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60  # RFC 8200 section 4
MAX_HEADERS = 8
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # RFC 9293 section 3.1

_V4 = Struct("!BBHHHBBH4s4s")
_V6 = Struct("!IHBB16s16s")
_FRAGMENT = Struct("!BBHI")
_TCP = Struct("!HHIIBB")
_UDP = Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP segment or UDP datagram. Addresses are raw; `cut` bytes of the payload's end are not in the capture.

    `unsummed`: it was put together from fragments, and no checksum shows that they are of one datagram.
    """

    at_ns: int
    protocol: int
    source: bytes
    source_port: int
    target: bytes
    target_port: int
    payload: bytes
    cut: int
    sequence: int = 0
    flags: int = 0
    unsummed: bool = False


def packet(frame: Frame, account: Account, fragments: Fragments) -> Packet | None:
    """The packet in a frame, or that it makes whole; None, and a count, where there is none that is read."""
    account.counts["frames"] += 1
    data = _network(frame.link, frame.data, account)
    if data is None:
        return None
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= _V4.size:
        return _version_4(frame, data, account, fragments)
    if version == 6 and len(data) >= _V6.size:
        return _version_6(frame, data, account, fragments)
    account.counts["frames without an IP packet that can be read"] += 1
    return None


def _network(link: int, data: bytes, account: Account) -> bytes | None:
    """What the link layer carries, where it may be IP."""
    if link in (RAW, IPV4, IPV6, *RAW_OLD):
        return data
    if link in (NULL, LOOP):
        return data[4:]
    found, kind = None, 0
    if link in PPP:
        found = _ppp(data)
    elif link == PPP_ETHER:
        found = _ppp(data[PPPOE_BYTES:])
    elif link in PAYLOAD:
        kind, at = _past_tags(data, *PAYLOAD[link])
        found = data[at:] if kind in (ETHER_4, ETHER_6) else _ppp(data[at + PPPOE_BYTES :]) if kind == PPPOE else None
    else:
        account.counts[f"frames of link type {link}, which is not read"] += 1
        return None
    if found is None:
        what = "frames with MPLS labels, which are not read" if kind in MPLS else "frames that do not carry IP"
        account.counts[what] += 1
    return found


def _past_tags(data: bytes, kind_at: int, at: int) -> tuple[int, int]:
    """What a frame carries, by its EtherType, and where that begins; behind tags, which captures put in anew."""
    kind = int.from_bytes(data[kind_at : kind_at + 2], "big")
    for _ in range(MAX_TAGS):
        if kind not in VLAN:
            break
        kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    return kind, at


def _ppp(data: bytes) -> bytes | None:
    """What PPP carries, where that is IP; the first byte of its number, a 0, may be left out (RFC 1661 section 6.5)."""
    at = len(ALL_STATIONS) if data.startswith(ALL_STATIONS) else 0
    size = 1 if data[at : at + 1] in (b"\x21", b"\x57") else 2
    kind = int.from_bytes(data[at : at + size], "big")
    return data[at + size :] if kind in (PPP_4, PPP_6) else None


def _version_4(frame: Frame, data: bytes, account: Account, fragments: Fragments) -> Packet | None:
    first, _, total, identification, fragment, _, protocol, _, source, target = _V4.unpack_from(data)
    start = (first & 0x0F) * 4
    missing = frame.length - len(frame.data)
    whole = total or len(data) + missing  # 0: segmentation offloaded to the network card
    payload, cut = data[start:whole], max(0, whole - len(data))
    if fragment & 0x3FFF:  # more fragments, or an offset
        key, offset = (source, target, identification), (fragment & 0x1FFF) * UNIT
        piece = Fragment(frame.at_ns, key, offset, bool(fragment & 0x2000), payload)
        return _joined(frame, piece, protocol, cut, account, fragments)
    return _transport(frame, (source, target), protocol, payload, cut, account)


def _version_6(frame: Frame, data: bytes, account: Account, fragments: Fragments) -> Packet | None:
    _, length, kind, _, source, target = _V6.unpack_from(data)
    at = _V6.size
    whole = at + length if length else len(data) + frame.length - len(frame.data)
    for _ in range(MAX_HEADERS):
        if kind == FRAGMENT and at + _FRAGMENT.size <= len(data):
            upper, _, told, identification = _FRAGMENT.unpack_from(data, at)
            if told & 0xFFF9:  # an offset, or more fragments
                payload, cut = data[at + _FRAGMENT.size : whole], max(0, whole - len(data))
                piece = Fragment(frame.at_ns, (source, target, identification), told & 0xFFF8, bool(told & 1), payload)
                return _joined(frame, piece, upper, cut, account, fragments)
            step = _FRAGMENT.size
        elif kind in (HOP_BY_HOP, ROUTING, DESTINATION):
            step = 8 * (data[at + 1] + 1) if at + 2 <= len(data) else 8
        elif kind == AUTHENTICATION:
            step = 4 * (data[at + 1] + 2) if at + 2 <= len(data) else 8
        else:
            break
        kind, at = data[at] if at < len(data) else 59, at + step
    return _transport(frame, (source, target), kind, data[at:whole], max(0, whole - len(data)), account)


def _joined(
    frame: Frame, piece: Fragment, protocol: int, cut: int, account: Account, fragments: Fragments
) -> Packet | None:
    """The datagram that a fragment makes whole. One of another protocol, or cut off in the capture, is only counted."""
    if protocol != UDP or cut:
        account.counts[LOST] += 1
        return None
    whole = fragments.take(piece)
    if whole is None:
        return None
    found = _transport(frame, piece.key[:2], UDP, whole.data, 0, account)
    return found and replace(found, unsummed=whole.unsummed)


def _transport(
    frame: Frame, ends: tuple[bytes, bytes], protocol: int, data: bytes, cut: int, account: Account
) -> Packet | None:
    """The packet; `cut` bytes are missing at the end of `data`."""
    if protocol not in (TCP, UDP):
        account.counts["packets of other protocols"] += 1
        return None
    found = (_segment if protocol == TCP else _datagram)(frame.at_ns, ends, data, cut)
    if found is None or not (found.source_port and found.target_port):
        account.counts["segments and datagrams that are cut off or cannot be"] += 1
        return None
    return found


def _segment(at_ns: int, ends: tuple[bytes, bytes], data: bytes, cut: int) -> Packet | None:
    if len(data) < _TCP.size + 6:
        return None
    from_port, to_port, sequence, _, offset, flags = _TCP.unpack_from(data)
    start = (offset >> 4) * 4
    if not _TCP.size + 6 <= start <= len(data) + cut:
        return None
    lost = cut - max(0, start - len(data))
    return Packet(at_ns, TCP, ends[0], from_port, ends[1], to_port, data[start:], lost, sequence, flags)


def _datagram(at_ns: int, ends: tuple[bytes, bytes], data: bytes, cut: int) -> Packet | None:
    if len(data) < _UDP.size:
        return None
    from_port, to_port, length, _ = _UDP.unpack_from(data)
    end = length if length >= _UDP.size else len(data)
    return Packet(at_ns, UDP, ends[0], from_port, ends[1], to_port, data[_UDP.size : end], cut)
