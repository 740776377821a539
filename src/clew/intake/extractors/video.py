"""Videos: what the container states, picture hashes of key frames, a contact sheet; on demand, hashes of every frame.

Key frames are a first look. A clip cut out of a video may hold none of its key frames: that their hashes match nothing
says nothing. Hashes are of frames as they are stored, unturned.
"""

import io
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from clew.intake.api import DENSE, EXACT, Blob, Example, Extractor, Frame, Probe, Value
from clew.intake.extractors._bytes import reader
from clew.intake.extractors._sheet import CELLS, Evenly, sheet, small
from clew.intake.extractors._video_facts import facts
from clew.intake.extractors._video_frames import picture_hash, pixels
from clew.intake.extractors._video_walk import SECOND, Limits, Walk, open_container, pictures
from clew.intake.extractors._zeros import BETWEEN, Between
from clew.intake.extractors.pdq import waves
from clew.model import Missing, Reason

APART = 0.4  # seconds between two key frames that are hashed: some formats have nothing but key frames
FRAMES = 50_000
PIXELS, PIXELS_PER_MB = 2_000_000_000, 10_000_000  # decoded: for any content, and for each million bytes of it
SECONDS, SECONDS_PER_MB = 20.0, 0.1  # of CPU: less than what intake gives a worker for an item
DENSE_FRAMES = 190_000
DENSE_SECONDS, DENSE_SECONDS_PER_MB = 500.0, 4.0
MARK, MARKS = 0x47, 5
OTHERS = ("application/mxf", "application/vnd.rn-realmedia", "application/ogg")
UNTYPED = "application/octet-stream"

Shown = Evenly[Image.Image]


class Video:
    """Traits video.container and so on (see `_video_facts`); "video.pdq" of key frames at their seconds;
    video.keyframes found and .keyframes.hashed, .rotation (degrees clockwise to view it), .damaged, .sheet. In dense
    mode "video.pdq.dense" of all frames, video.dense.every, .dense.frames, .dense.damaged.
    """

    name = "video"
    version = "4"

    def wants(self, media_type: str) -> bool:
        """Videos, sounds (they may hold pictures), and what libmagic has no name for: so many transport streams."""
        return media_type.startswith(("video/", "audio/")) or media_type in (*OTHERS, UNTYPED)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Facts first, then hashes as they come, then what the whole pass showed."""
        if probe.media_type == UNTYPED and not _is_transport_stream(probe):
            return
        with open_container(probe) as container:
            streams = pictures(container)
            if probe.mode == DENSE:
                yield from _dense(probe, container, streams)
            else:
                yield from facts(container, streams)
                yield from _keys(probe, container, streams)

    def examples(self) -> Iterator[Example]:
        """Three seconds of waves as MP4 (H.263), as Matroska and as AVI (MPEG-4)."""
        expect: dict[str, Value | None] = {"video.width": 176, "video.height": 144, "video.damaged": 0}
        expect |= {"video.pdq": None, "video.sheet": None, "video.duration": 3.0}
        for kind, codec, media_type in (
            ("3gp", "h263", "video/3gpp"),
            ("matroska", "mpeg4", "video/x-matroska"),
            ("avi", "mpeg4", "video/x-msvideo"),
        ):
            yield Example(f"waves.{kind}", _film(kind, codec), media_type, expect)


def _keys(probe: Probe, container: InputContainer, streams: list[VideoStream]) -> Iterator[tuple[str, Value]]:
    if not streams:
        return
    largest = max(1, *(stream.codec_context.width * stream.codec_context.height for stream in streams))
    most = min(FRAMES, int(PIXELS + PIXELS_PER_MB * probe.size / 1e6) // largest)
    limits = Limits(most, SECONDS + SECONDS_PER_MB * probe.size / 1e6)
    walk = Walk(container, streams, limits, keys=True, apart=APART, size=probe.size, between=_between(probe, container))
    shown: Shown = Evenly(2 * CELLS)
    yield from _hashes("video.pdq", walk, probe, shown)
    damage = walk.damage((container.duration or 0) / SECOND)
    if not walk.given and not walk.stopped:
        told = "no key frame is marked, or none can be decoded: the first frame that can be is hashed alone"
        yield "video.pdq", Missing(Reason.UNPARSABLE, told)
        with open_container(probe) as again:
            anything = Walk(again, pictures(again), Limits(1, limits.seconds), keys=False)
            yield from _hashes("video.pdq", anything, probe, shown)
            if anything.packets and not anything.given and anything.stopped is None:
                damage.append(Missing(Reason.UNPARSABLE, f"no frame of {anything.packets:,} packets can be decoded"))
    yield "video.keyframes", walk.found
    yield "video.keyframes.hashed", walk.given
    yield "video.damaged", int(any(missing.reason is Reason.UNPARSABLE for missing in damage))
    if walk.found > walk.given + walk.broken and not walk.stopped:
        told = f"{walk.given:,} of {walk.found:,} key frames are hashed: at least {APART} s apart, {most:,} in all"
        yield "video.pdq", Missing(Reason.LIMIT_REACHED, told)
    yield from (("video.pdq", missing) for missing in damage)
    if shown.kept:
        yield "video.sheet", Blob(sheet(shown.kept))


def _dense(probe: Probe, container: InputContainer, streams: list[VideoStream]) -> Iterator[tuple[str, Value]]:
    limits = Limits(DENSE_FRAMES, DENSE_SECONDS + DENSE_SECONDS_PER_MB * probe.size / 1e6)
    walk = Walk(container, streams, limits, keys=False, apart=probe.every, between=_between(probe, container))
    yield from _hashes("video.pdq.dense", walk, probe, None)
    yield "video.dense.every", probe.every
    yield "video.dense.frames", walk.given
    damage = walk.damage((container.duration or 0) / SECOND)
    yield "video.dense.damaged", int(any(missing.reason is Reason.UNPARSABLE for missing in damage))
    yield from (("video.pdq.dense", missing) for missing in damage)


def _hashes(trait: str, walk: Walk, probe: Probe, shown: "Shown | None") -> Iterator[tuple[str, Value]]:
    """A Frame of each frame, and with `shown` its small picture for the sheet; its first frame's turn."""
    turn = 0
    for seconds, frame in walk.frames():
        seen = pixels(frame, exact=probe.mode == EXACT)
        value, quality = picture_hash(frame, seen)
        yield trait, Frame(value, seconds, quality)
        if shown is not None:
            if not shown.offered:
                turn = -frame.rotation % 360
                yield "video.rotation", turn
            if shown.takes():
                shown.kept.append(small(seen, turn))


def _between(probe: Probe, container: InputContainer) -> Between | None:
    return Between(reader(probe)) if container.format.name in BETWEEN else None


def _is_transport_stream(probe: Probe) -> bool:
    """The marks of five packets in a row: ISO/IEC 13818-1, 2.4.3.2, and with four bytes before each, as on Blu-ray."""
    start = reader(probe).read(MARKS * 192)
    return any(
        len(start) >= MARKS * size and all(start[at] == MARK for at in range(before, MARKS * size, size))
        for size, before in ((188, 0), (192, 4))
    )


def _film(kind: str, codec: str) -> bytes:
    """Three seconds of waves that move, one picture a second, two frames each."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=2)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = 2, 1
        wide = waves(1760, 144)
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(wide[:, 176 * number : 176 * (number + 1)].copy(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


PLUGIN: Extractor = Video()
