"""A second opinion on the type of a Content, by Magika: of what libmagic does not know, or a name contradicts.

libmagic goes by marks at fixed places, which a few overwritten bytes hide; Magika by how the bytes look at the
beginning and the end. It costs sixty times as much, and 70 MB a worker: so it is asked of these contents alone, in
workers of their own (`typing_pass`).
"""

import io
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from typing import Any

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.mediatype import SECOND
from clew.model import Missing, Reason


@cache
def model() -> Any:
    """Magika with its model, read from disk: neither is in a process that has not asked for it."""
    magika, onnxruntime = import_module("magika"), import_module("onnxruntime")

    class OneThread(magika.Magika):  # type: ignore[name-defined,misc]  # known only here
        """Magika makes its session with a thread for each processor; a locked worker cannot start any."""

        def _init_onnx_session(self) -> Any:
            onnxruntime.disable_telemetry_events()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            return onnxruntime.InferenceSession(str(self._model_path), options, providers=["CPUExecutionProvider"])

    return OneThread()


def preload() -> None:
    """Before the sandbox closes."""
    model().identify_bytes(bytes(range(256)))


class Opinion:
    """Traits "type.second", a media type, and "type.second.score", 0 to 1: how sure Magika is of it.

    Missing(unknown) where it is not sure enough to say anything.
    """

    name = "magika"
    version = f"1 (magika {metadata.version('magika')})"

    def wants(self, _media_type: str) -> bool:
        """Anything: who asks has chosen."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Both."""
        if probe.data is None:
            yield SECOND, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        told = model().identify_stream(io.BufferedReader(io.BytesIO(probe.data)))
        if str(told.output.label) in ("unknown", "undefined"):
            yield SECOND, Missing(Reason.UNKNOWN, f"Magika is not sure; its best guess is {told.dl.label}")
        else:
            yield SECOND, str(told.output.mime_type)
        yield f"{SECOND}.score", float(told.score)

    def examples(self) -> Iterator[Example]:
        """A page of HTML without its head."""
        text = b"<p>nothing <b>to</b> see</p><ul><li>one</li><li>two</li></ul>\n" * 40
        yield Example("page", text, "text/plain", {SECOND: "text/html"})


PLUGIN: Extractor = Opinion()
