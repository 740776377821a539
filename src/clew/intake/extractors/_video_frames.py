"""From a decoded frame of a video to its picture hash: the luma as the decoder left it, without another conversion.

PDQ is made of luma by ITU-R BT.601, from RGB. FFmpeg's own way to RGB takes a video for BT.601 unless told otherwise,
and so does vpdq: its luma is then the Y plane itself, but for rounding. Of limited range (ITU-R BT.601, 16 to 235), it
is spread to 0 to 255, as that way does; the hash hardly notices, the quality would.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from av import VideoFrame

from clew.core import pdq

Pixels = npt.NDArray[np.uint8]

FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_SPREAD = np.clip((np.arange(256) - 16) * 255 / 219 + 0.5, 0, 255).astype(np.uint8)


def pixels(frame: VideoFrame, *, exact: bool = False) -> Pixels:
    """(height, width) luma of 8 bits where the frame has it as a plane of its own; else, and in exact mode,
    (height, width, 3) RGB. Luma may be a view of the frame, with its range as it is.
    """
    form = frame.format
    bits = form.components[0].bits
    if exact or form.is_rgb or form.has_palette or not form.name.startswith(("yuv", "gray", "nv12", "nv21")):
        return _rgb(frame)
    if not (form.is_planar or form.name.startswith("gray")) or (bits > 8 and form.is_big_endian):
        return _rgb(frame)
    plane: Any = frame.planes[0]  # a buffer, though its stub does not say so
    lines: npt.NDArray[Any] = np.frombuffer(plane, np.uint8 if bits <= 8 else np.dtype("<u2"))
    lines = lines.reshape(plane.height, -1)[: frame.height, : frame.width]
    if plane.line_size < 0:
        lines = lines[::-1]
    return np.asarray(lines >> (bits - 8) if bits > 8 else lines, np.uint8)


def picture_hash(frame: VideoFrame, seen: Pixels) -> tuple[bytes, int]:
    """PDQ and its quality of what `pixels` gave for that frame."""
    if seen.ndim == 3:
        return pdq.hash_rgb(seen)
    sampled = pdq.sample(seen)
    return pdq.hash_grey(_SPREAD[sampled] if _limited(frame) else sampled)


def _limited(frame: VideoFrame) -> bool:
    name = frame.format.name
    return frame.color_range != FULL_RANGE and not name.startswith(("yuvj", "gray"))


def _rgb(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.reformat(format="rgb24", threads=1).to_ndarray(), np.uint8)
