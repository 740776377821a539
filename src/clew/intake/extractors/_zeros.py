"""Zeros where coded pictures should be: what a download that was never finished, or a lost sector, leaves behind. A
decoder makes something of them, and complains of nothing.

HEVC and H.264 in units of a stated length cannot hold three zeros in a row (emulation prevention: ITU-T H.264, 7.4.1),
and no unit is empty: there a short run is proof. H.264 of key frames alone may be padded to frames of one size, as
AVC-Intra is, by zeros at a unit's end (x264 does so): of these they tell nothing. Where units begin with a start code,
zeros may stand before it and at the end (B.1 there; ISO/IEC 13818-2, 5.2.3; H.263 and MPEG-4 have such codes too). Of
VP9 and AV1, pictures of one colour were measured to hold no run of any length. Other codings may hold any: Motion JPEG
is padded; of one colour, WMV 2 was seen to have 16,000 zeros in a row, VP8 1,158.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clew.intake.extractors._bytes import Reader

PROOF, SIGN = bytes(64), bytes(512)
NAL = ("h264", "hevc")
STARTED = ("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv1", *NAL)  # units that begin with a start code
ARITHMETIC = ("vp9", "av1")
_CODES = (0x01, *range(0x80, 0x88))  # the byte behind the zeros of a start code; the latter H.263's, and Sorenson's
_EMPTY = bytes(8)  # two units of no length
_INTRA, _CONSTRAINED = (110, 122, 244), 0x10  # profiles that are of key frames alone with that flag: H.264, A.2
_LENGTHS = 1  # what the decoder configuration begins with: ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1

# Formats of which a packet begins at a known place, and what they may leave between two: headers, with their padding
BEHIND = 64
BETWEEN = ("avi", "matroska,webm", "flv")
_SIZED = rb"[\x80-\xff]|[\x40-\x7f].?|[\x20-\x3f].{0,2}|[\x10-\x1f].{0,3}|\x01.{0,7}"  # of EBML: RFC 8794, 4
_PADDING = re.compile(rb"JUNK|\xec(?:" + _SIZED + rb")\Z", re.DOTALL)  # a Void element: section 11.3.2 there


def test_of(stream: VideoStream) -> Callable[["Packet[Stream]"], bool] | None:
    """Whether a packet of that stream holds zeros that no encoder writes; None where its coding may hold any."""
    codec, configuration = stream.codec_context.codec.canonical_name, stream.codec_context.extradata or b""
    if codec in NAL and configuration[:1] == bytes([_LENGTHS]):
        intra = codec == "h264" and len(configuration) > 4 and configuration[1] in _INTRA
        if intra and configuration[2] & _CONSTRAINED:
            return partial(_of_padded, length=1 + (configuration[4] & 3))
        return _of_lengths
    if codec in STARTED:
        return _of_starts
    return _of_arithmetic if codec in ARITHMETIC else None


def _of_lengths(packet: "Packet[Stream]") -> bool:
    held = bytes(packet)
    return PROOF in held or (len(held) >= len(_EMPTY) and held.startswith(_EMPTY))


def _of_padded(packet: "Packet[Stream]", length: int) -> bool:
    """As `_of_lengths`, but for the end of each unit, whose length takes so many bytes."""
    held, at = bytes(packet), 0
    if not _of_lengths(packet):
        return False
    while at < len(held):
        behind = at + length + int.from_bytes(held[at : at + length])
        unit = held[at + length : behind].rstrip(b"\0")
        if not unit or PROOF in unit or behind > len(held):
            return True
        at = behind
    return False


def _of_starts(packet: "Packet[Stream]") -> bool:
    held = bytes(packet)
    return _amid(held) or (len(held) >= len(PROOF) and not held.strip(b"\0"))


def _of_arithmetic(packet: "Packet[Stream]") -> bool:
    return SIGN in bytes(packet)


def _amid(held: bytes) -> bool:
    """Whether a run of zeros is followed by what is no start code, and is not the end."""
    at = held.find(SIGN)
    while at >= 0:
        rest = held[at:].lstrip(b"\0")
        if rest and rest[0] not in _CODES:
            return True
        at = held.find(SIGN, len(held) - len(rest)) if rest else -1
    return False


@dataclass(slots=True)
class Between:
    """What lies between a container's packets, in the content's own bytes."""

    content: Reader
    _end: int = 0

    def zeros(self, packet: "Packet[Stream]") -> bool:
        """Whether zeros lie behind the packet before this one, where this one should have begun."""
        begins, end = packet.pos, self._end
        if begins is None:
            return False
        self._end = max(end, begins + packet.size)
        if not end or begins < end + len(SIGN):
            return False
        self.content.seek(end)
        behind = self.content.read(BEHIND + len(SIGN))
        at = behind.find(SIGN)
        return at >= 0 and not _PADDING.search(behind[:at])
