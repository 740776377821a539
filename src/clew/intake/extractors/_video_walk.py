"""The way through a video's packets: which are decoded, what went wrong, and how far it came.

FFmpeg by PyAV, from bytes alone and on one thread: a locked worker can open nothing and start none. Playlists and
other formats that name further files are not among those that may be recognised.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
import av.audio.codeccontext
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clew.core.absent import Absent
from clew.intake.api import Probe
from clew.intake.extractors import _zeros
from clew.intake.extractors._bytes import reader
from clew.model import Missing, Reason

# FFmpeg's names of the demuxers that may be recognised
FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "flv", "asf", "rm", "mxf",
           "ogg", "dv", "ivf", "obu", "nut", "wtv", "gxf", "mp3", "aac", "ac3", "flac", "wav", "amr", "caf", "aiff",
           "ape", "tta", "wv")  # fmt: skip
MOST_PIXELS = 70_000_000  # of one frame; 8K has 33 million
MOST_STREAMS = 4  # of pictures
MOST_PACKETS = 20_000_000
FIRST = 16  # key frames that are taken wherever they lie
BUFFER = 1 << 18  # bytes of one read
CLOSE = 1e-3  # seconds that rounding may take from a distance
SLACK = 1.0  # seconds by which a container may state more than there is
SECOND = 1_000_000  # av.time_base
AVI, MATROSKA = "avi", "matroska"  # the latter of WebM too

OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "protocol_whitelist": "none",
    "max_pixels": str(MOST_PIXELS),
    "threads": "1",
    "ignore_editlist": "1",  # MP4 and QuickTime: what was cut away in display only is in the file all the same
}
# Formats whose header states what FFmpeg would else decode frames for, only to throw them away
STATING = ("video/mp4", "video/quicktime", "video/x-m4v", "video/3gpp", "video/3gpp2", "video/x-matroska", "video/webm")
HEADER_ALONE = {"skip_frame": "all"}


def open_container(probe: Probe) -> InputContainer:
    """The container, its header read. Raises Absent where FFmpeg finds none that may be recognised."""
    options = OPTIONS | (HEADER_ALONE if probe.media_type in STATING else {})
    try:
        return av.open(reader(probe), "r", options=options, metadata_errors="replace", buffer_size=BUFFER)
    except (av.FFmpegError, ValueError) as error:
        detail = f"no container that clew can open in this {probe.media_type}: {_say(error)}"
        raise Absent(Missing(Reason.UNPARSABLE, detail)) from error


def pictures(container: InputContainer) -> list[VideoStream]:
    """The streams of pictures that there is a decoder for, cover pictures included, set to one thread."""
    streams = [stream for stream in container.streams.video if stream.codec_context][:MOST_STREAMS]
    for stream in streams:
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return streams


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a walk ends: frames given, CPU seconds. Of key frames, those up to `FIRST` do not count."""

    frames: int
    seconds: float


@dataclass(slots=True)
class Walk:
    """One pass over all packets of a container.

    With `keys` only key frames are decoded, else every frame. Of one stream none is given that lies less than `apart`
    seconds after the last one; key frames are taken as evenly over the `size` bytes of the content as the limit of
    frames asks, whatever duration is stated. Times count from the stream's first frame; where none are stated, from the
    packets before and the stream's rate.

    Afterwards: `found` key frames, `given` frames, `broken` packets and frames that could not be decoded or that the
    decoder made up in part, the first of them at `broken_at`; `zeroed` places with zeros where coded pictures should
    be, decoded or not, the first at `zeroed_at`; `reached`, the end of the last packet, and `latest`, the same by the
    container's own clock; `stopped`, why it ended early.
    """

    container: InputContainer
    streams: list[VideoStream]
    limits: Limits
    keys: bool
    apart: float = 0.0
    size: int = 0
    between: _zeros.Between | None = None
    found: int = 0
    given: int = 0
    broken: int = 0
    broken_at: float = 0.0
    zeroed: int = 0
    zeroed_at: float = 0.0
    reached: float = 0.0
    latest: float = 0.0
    stopped: Missing | None = None
    _taken: int = 0
    _of_stream: dict[int, int] = field(default_factory=dict)
    _last: dict[int, float] = field(default_factory=dict)
    _clocks: "dict[int, _Clock]" = field(default_factory=dict)
    _tests: "dict[int, Callable[[Packet[Stream]], bool]]" = field(default_factory=dict)

    @property
    def packets(self) -> int:
        """Those of pictures that it came by."""
        return sum(self._of_stream.get(stream.index, 0) for stream in self.streams)

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """(seconds, frame) as they are decoded. Ends early at a limit, or where the container breaks."""
        self._clocks = {stream.index: _Clock.of(stream) for stream in self.container.streams}
        self._tests = {stream.index: test for stream in self.streams if (test := _zeros.test_of(stream))}
        ends = time.process_time() + self.limits.seconds
        try:
            for packet in self.container.demux():
                if packet.size:
                    yield from self._packet(packet)
                if self._over(ends):
                    return
        except IndexError:  # PyAV's flushing packets, for a stream that the header did not have
            told = "streams that begin later than the container were not looked at"
            self.stopped = Missing(Reason.UNPARSABLE, told)
        except MemoryError:
            self.stopped = Missing(Reason.LIMIT_REACHED, f"stopped at {self.reached:.1f} s: out of memory")
        except av.FFmpegError as error:
            self.stopped = Missing(Reason.UNPARSABLE, f"at {self.reached:.1f} s the container breaks: {_say(error)}")
        for stream in self.streams:  # what the decoders held back
            yield from self._decoded(stream, None, self.reached)

    def _packet(self, packet: "Packet[Stream]") -> Iterator[tuple[float, VideoFrame]]:
        index, clock = packet.stream_index, self._clocks[packet.stream_index]
        before = self._of_stream.get(index, 0)
        self._of_stream[index] = before + 1
        stamp = packet.dts if packet.pts is None else packet.pts
        at = clock.seconds(stamp, before * clock.frame if clock.frame else self.reached)
        ends = at + (packet.duration or 0) * clock.unit
        self.reached, self.latest = max(self.reached, ends), max(self.latest, ends + clock.begins)
        self._look_for_zeros(packet, at)
        stream = next((each for each in self.streams if each.index == index), None)
        if stream is None:
            return
        self.found += packet.is_keyframe
        if self.keys and not (packet.is_keyframe and self._due(packet) and self._wanted(index, at)):
            self._broken(packet.is_corrupt, at)
            return
        self._taken += 1
        broken = self.broken
        yield from self._decoded(stream, packet, at)
        if self.broken == broken:  # the decoder may find nothing wrong with what the container lost parts of
            self._broken(packet.is_corrupt, at)

    def _decoded(
        self, stream: VideoStream, packet: "Packet[Stream] | None", at: float
    ) -> Iterator[tuple[float, VideoFrame]]:
        """The frames that come out of the decoder after this packet, or at the end."""
        try:
            frames = stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._broken(packet is not None, at)
            self._last.pop(stream.index, None)  # the next one, however near
            return
        for frame in frames:
            seconds = self._clocks[stream.index].seconds(frame.pts, at)
            self._broken(frame.is_corrupt, seconds)
            if self.keys and not frame.key_frame:  # marked as one, but made from others that were not decoded
                self._last.pop(stream.index, None)
            elif self.keys or self._wanted(stream.index, seconds):
                self.given += 1
                yield seconds, frame

    def damage(self, stated: float) -> list[Missing]:
        """What this pass missed, `stated` being the container's duration in seconds."""
        found = [] if self.stopped is None else [self.stopped]
        if self.broken:
            told = (
                f"{self.broken:,} frames are broken or made up in part by the decoder, first at {self.broken_at:.1f} s"
            )
            found.append(Missing(Reason.UNPARSABLE, told))
        if self.zeroed:
            places = f"in {self.zeroed:,} places" if self.zeroed > 1 else "in one place"
            told = f"zeros lie {places} where coded pictures should be, first at {self.zeroed_at:.1f} s"
            found.append(Missing(Reason.UNPARSABLE, told))
        # As FFmpeg writes Matroska, its duration is the end of the last frame, wherever the first one begins
        reached = self.latest if MATROSKA in self.container.format.name else self.reached
        if self.stopped is None and reached + SLACK < stated:
            told = f"the container states {stated:.1f} s, its frames end at {reached:.1f} s"
            found.append(Missing(Reason.UNPARSABLE, told))
        elif self.stopped is None and self.container.format.name == AVI:  # its duration is made to fit what is there
            found += [each for stream in self.streams if (each := self._lacks(stream))]
        return found

    def _lacks(self, stream: VideoStream) -> Missing | None:
        seen, rate = self._of_stream.get(stream.index, 0), float(stream.average_rate or 0)
        if stream.frames - seen <= SLACK * rate:
            return None
        return Missing(Reason.UNPARSABLE, f"the container states {stream.frames:,} frames, {seen:,} packets are there")

    def _look_for_zeros(self, packet: "Packet[Stream]", at: float) -> None:
        test = self._tests.get(packet.stream_index)
        zeros = test is not None and test(packet)
        if self.between is not None:
            zeros |= self.between.zeros(packet)
        if zeros and not self.zeroed:
            self.zeroed_at = at
        self.zeroed += zeros

    def _broken(self, count: int, at: float) -> None:
        if count and not self.broken:
            self.broken_at = at
        self.broken += count

    def _due(self, packet: "Packet[Stream]") -> bool:
        """Whether this far into the content another key frame may be taken."""
        share = packet.pos / self.size if packet.pos is not None and self.size else 1.0
        return self._taken < FIRST + self.limits.frames * share

    def _wanted(self, stream: int, at: float) -> bool:
        last = self._last.get(stream)
        if last is not None and last <= at < last + self.apart - CLOSE:
            return False
        self._last[stream] = at
        return True

    def _over(self, ends: float) -> bool:
        if not self.keys and self.given >= self.limits.frames:
            why = f"{self.given:,} frames"
        elif sum(self._of_stream.values()) >= MOST_PACKETS:
            why = f"{MOST_PACKETS:,} packets"
        elif time.process_time() > ends:
            why = f"{self.limits.seconds:.0f} s of computing"
        else:
            return False
        self.stopped = Missing(Reason.LIMIT_REACHED, f"stopped at {self.reached:.1f} s, after {why}")
        return True


@dataclass(frozen=True, slots=True)
class _Clock:
    """The times of one stream: its unit and its start in seconds, and how long a frame lasts (0: not known)."""

    unit: float
    begins: float
    frame: float

    @classmethod
    def of(cls, stream: Stream) -> "_Clock":
        rate = float(stream.average_rate or 0) if isinstance(stream, VideoStream) else 0.0
        unit = float(stream.time_base or 0)
        return cls(unit, (stream.start_time or 0) * unit, 1 / rate if rate > 0 else 0.0)

    def seconds(self, stamp: int | None, otherwise: float) -> float:
        return otherwise if stamp is None else stamp * self.unit - self.begins


def _say(error: Exception) -> str:
    return str(error).replace(": '<none>'", "")[:200]
