"""Films with zeros in them, as an unfinished download or a lost sector leaves them: damage, however they are read."""

import io
from pathlib import Path

import av
import films
import numpy as np
import pytest

from clew.core.absent import Absent
from clew.intake import reading
from clew.intake.api import DENSE, FAST, Probe
from clew.intake.extractors import video
from clew.model import Missing

HOLE = 7_000
# What has a packet or a place in which zeros are a proof, or a check of its own
FRONT = "mp4, index in front"
TOLD = (FRONT, "mp4, HEVC of 10 bits", "mp4, AV1", "mov", "mkv", "webm, VP9", "avi",
        "avi, Motion JPEG", "3gp", "flv", "ts", "mpeg")  # fmt: skip
HELD = "clew.intake.extractors.video:PLUGIN"


def said(data: bytes, kind: str, mode: str = FAST) -> tuple[list[object], list[str]]:
    """(what .damaged says, every Missing in words)."""
    probe = Probe(memoryview(data), len(data), films.KINDS[kind][4], mode)
    found = list(video.PLUGIN.traits(probe))
    name = "video.dense.damaged" if mode == DENSE else "video.damaged"
    return [value for each, value in found if each == name], [m.detail for _, m in found if isinstance(m, Missing)]


def holed(data: bytes, kind: str, folder: Path) -> bytes:
    """Zeros from the middle of what a packet is on, which is no key frame's beginning."""
    begins = len(data) // 2
    with av.open(io.BytesIO(data)) as file:
        places = [packet.pos for packet in file.demux(video=0) if packet.size and packet.pos is not None]
    if places:
        middle = places[len(places) // 2]
        begins = middle + 40
    return data[:begins] + bytes(HOLE) + data[begins + HOLE :]


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("mode", [FAST, DENSE])
def test_zeros_in_a_film_are_damage(tmp_path: Path, kind: str, mode: str) -> None:
    data = films.film(kind, tmp_path)
    assert said(data, kind, mode)[0] == [0]
    try:
        damaged, words = said(holed(data, kind, tmp_path), kind, mode)
    except Absent:
        return
    assert damaged == [1], words


@pytest.mark.parametrize("kind", [FRONT, "mp4, HEVC of 10 bits"])
def test_a_film_of_which_the_second_half_was_never_written_is_damaged(tmp_path: Path, kind: str) -> None:
    whole = _fast(kind, tmp_path)
    half = len(whole) * 6 // 10
    data = whole[:half] + bytes(len(whole) - half)
    damaged, words = said(data, kind)
    assert damaged == [1]
    assert any(word.startswith("zeros lie in ") for word in words), words
    rows = [_examined(data, hold) for hold in (len(data), len(data) - 1)]
    assert rows[0] == rows[1]


def test_a_film_of_which_no_frame_can_be_decoded_is_damaged(tmp_path: Path) -> None:
    data = bytearray(_fast(FRONT, tmp_path))
    begins = data.index(b"mdat") + 4
    data[begins:] = np.random.default_rng(1).integers(1, 256, len(data) - begins, np.uint8).tobytes()
    damaged, words = said(bytes(data), FRONT)
    assert damaged == [1], words


ONE_COLOUR = [
    ("mp4", "libx264", FRONT),
    ("matroska", "libx264", "mkv"),
    ("mp4", "libx265", "mp4, HEVC of 10 bits"),
    ("webm", "libvpx-vp9", "webm, VP9"),
    ("avi", "mpeg4", "avi"),
    ("mpeg", "mpeg2video", "mpeg"),
    ("asf", "wmv2", "wmv"),
]


@pytest.mark.parametrize(("form", "encoder", "kind"), ONE_COLOUR)
def test_a_film_of_one_colour_is_whole(form: str, encoder: str, kind: str) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format=form) as file:
        stream = file.add_stream(encoder, rate=25, options=films.QUIET if encoder == "libx265" else {})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), format="rgb24")
        for _ in range(8):
            file.mux(stream.encode(black))
        file.mux(stream.encode())
    assert said(out.getvalue(), kind)[0] == [0]


@pytest.mark.parametrize("padding", [b"JUNK", b"\xec"])
def test_padding_between_packets_is_no_damage(tmp_path: Path, padding: bytes) -> None:
    """A Void element, a JUNK chunk: the whole of it zeros."""
    kind = "avi" if padding == b"JUNK" else "mkv"
    data = films.film(kind, tmp_path)
    if kind == "avi":
        at = data.rindex(b"00dc", 0, data.index(b"idx1"))
        filler = b"JUNK" + (4096).to_bytes(4, "little") + bytes(4096)
    else:
        at = data.rindex(b"\x1f\x43\xb6\x75")  # before the last cluster
        filler = b"\xec\x50\x00" + bytes(4096)
    damaged, words = said(data[:at] + filler + data[at:], kind)
    assert not any("zeros" in word for word in words), (damaged, words)


def _fast(kind: str, folder: Path) -> bytes:
    _, encoder, pixels, _, _ = films.KINDS[kind]
    films.make(folder / "film.mp4", "mp4", encoder, pixels, {"movflags": "faststart"})
    return (folder / "film.mp4").read_bytes()


class _Bytes:
    """A ByteSource of these bytes."""

    def __init__(self, data: bytes) -> None:
        self.size, self.data = len(data), data
        self.bad: tuple[tuple[int, int], ...] = ()

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def _examined(data: bytes, hold: int) -> list[str]:
    asked = {"size": len(data), "extractors": [HELD], "mode": FAST, "hold": hold}
    return sorted(str(reply.value) for reply in reading.examine(_Bytes(data), asked))


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_the_padding_of_avc_intra_is_no_damage_but_zeros_inside_are(form: str) -> None:
    """Every frame has one size there, and zeros at its end."""
    size, out = (1920, 1080), io.BytesIO()
    intra = {"avcintra-class": "100", "x264-params": "tff=1:threads=1"}
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream("libx264", 25, options=intra)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv422p10le"
        for number in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(films.picture(number, size), format="rgb24")))
        container.mux(stream.encode())
    data, kind = out.getvalue(), {"mp4": FRONT, "matroska": "mkv"}[form]
    assert bytes(64) in data
    assert said(data, kind)[0] == [0]
    with av.open(io.BytesIO(data)) as file:
        place = next(packet.pos for packet in file.demux(video=0) if packet.pos is not None) + 4_000
    assert said(data[:place] + bytes(64) + data[place + 64 :], kind)[0] == [1]
