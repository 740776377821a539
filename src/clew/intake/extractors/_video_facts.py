"""What a video's container states of itself: statements, not proof, as with EXIF.

Tags stand under the names that FFmpeg gives them: QuickTime's user data and metadata keys (QuickTime File Format
Specification, "Metadata"), Matroska's and ASF's tags. A place is ISO 6709 text, "+48.2082+016.3738+180.000/".
"""

import re
from collections.abc import Iterator

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from clew.intake.api import Value
from clew.intake.extractors._video_walk import SECOND
from clew.model import Missing, Reason

TAGS = {
    "creation_time": "video.created",
    "com.apple.quicktime.creationdate": "time.original",
    "make": "camera.make",
    "com.apple.quicktime.make": "camera.make",
    "com.android.manufacturer": "camera.make",
    "model": "camera.model",
    "com.apple.quicktime.model": "camera.model",
    "com.android.model": "camera.model",
    "com.apple.quicktime.software": "camera.software",
    "com.android.version": "camera.software",
    "location": "video.location",
    "com.apple.quicktime.location.iso6709": "video.location",
    "encoder": "video.encoder",
    "handler_name": "video.handler",
    "major_brand": "video.brand",
    "title": "video.title",
    "comment": "video.comment",
}
_PLACE = re.compile(r"([+-]\d{2}(?:\.\d*)?)([+-]\d{3}(?:\.\d*)?)(?:[+-].*)?/?")


def facts(container: InputContainer, pictures: list[VideoStream]) -> Iterator[tuple[str, Value]]:
    """Of the container, of each stream of pictures that can be decoded, of each stream of sound, and the tags."""
    yield "video.container", container.format.name
    duration = container.duration
    yield "video.duration", duration / SECOND if duration else Missing(Reason.UNKNOWN, "the container states none")
    yield "video.streams", len(container.streams)
    if container.bit_rate > 0:
        yield "video.bit_rate", container.bit_rate
    for stream in container.streams.video:
        if stream in pictures:
            yield from _picture(stream)
        else:
            yield "video.codec", Missing(Reason.UNPARSABLE, f"stream {stream.index}: no decoder, or too many streams")
    for sound in container.streams.audio:
        yield from _sound(sound)
    yield from _tags(container)


def _picture(stream: VideoStream) -> Iterator[tuple[str, Value]]:
    yield "video.codec", stream.codec_context.codec.canonical_name
    yield "video.width", stream.codec_context.width
    yield "video.height", stream.codec_context.height
    if stream.average_rate:
        yield "video.frame_rate", float(stream.average_rate)


def _sound(stream: AudioStream) -> Iterator[tuple[str, Value]]:
    if not stream.codec_context:
        yield "audio.codec", Missing(Reason.UNPARSABLE, f"stream {stream.index}: no decoder")
        return
    yield "audio.codec", stream.codec_context.codec.canonical_name
    yield "audio.channels", stream.codec_context.channels
    yield "audio.sample_rate", stream.codec_context.sample_rate


def _tags(container: InputContainer) -> Iterator[tuple[str, Value]]:
    """Each statement once, the container's before those of its streams."""
    had: set[tuple[str, str]] = set()
    for block in (container.metadata, *(stream.metadata for stream in container.streams)):
        for tag, text in block.items():
            said = (TAGS.get(tag.lower(), ""), text.strip("\x00 "))
            if all(said) and said not in had:
                had.add(said)
                yield said
                if said[0] == "video.location":
                    yield from _place(said[1])


def _place(text: str) -> Iterator[tuple[str, Value]]:
    found = _PLACE.fullmatch(text)
    latitude, longitude = (float(part) for part in found.groups()) if found else (91.0, 181.0)
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        yield "gps.latitude", latitude
        yield "gps.longitude", longitude
    else:
        yield "gps.latitude", Missing(Reason.UNPARSABLE, f"no place in degrees of latitude and longitude: {text[:60]}")
