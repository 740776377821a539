"""One loop around the decompressors of the standard library, never holding more than a chunk of what comes out."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from clew.intake.archives.members import CHUNK, lost


def unpacked(engine: Any, feed: Callable[[], bytes]) -> Iterator[bytes]:
    """What `engine` makes of the pieces that `feed` gives, until its stream or the pieces end; b"" from `feed` ends
    them. Raises Absent where the data are damaged.
    """
    buffers = isinstance(engine, bz2.BZ2Decompressor | lzma.LZMADecompressor)  # zlib hands back what does not fit
    pending, ended = b"", False
    while not engine.eof:
        if not pending and (not buffers or engine.needs_input):
            pending = feed()
            ended = not pending
        try:
            piece = engine.decompress(pending, CHUNK)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise lost(f"its compressed data are damaged: {error}") from error
        pending = b"" if buffers else engine.unconsumed_tail
        if piece:
            yield piece
        elif ended:
            return
