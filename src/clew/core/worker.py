"""One worker: `python -m clew.core.worker DESCRIPTOR`. Reads tasks from its supervisor, answers each in turn.

Its first message is its setup: what to import, then how to lock up. Answers go out one by one, before the next task
begins, so that the oldest unanswered task is always the one in hand. Kept small: numba, pyarrow and duckdb never
come in here.
"""

import codecs
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from socket import socket
from typing import Any

from clew.core import channel, held, one_pass
from clew.core.absent import Absent
from clew.core.channel import Reply
from clew.core.sandbox import Policy, lock_down
from clew.model import Missing, Reason

Entry = Callable[[dict[str, Any], list[int]], Reply | Iterator[Reply]]

# Python imports these (and the inside of time.strptime) when first used, and after the lock nothing can be imported.
_CODECS = ("ascii", "latin-1", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp437", "cp850",
           "cp1250", "cp1251", "cp1252", "iso8859-15", "koi8-r", "shift_jis", "gb18030", "big5", "euc_kr", "mac-roman",
           "hex", "base64", "unicode_escape", "idna")  # fmt: skip
_DETAIL = 400  # characters of an error that are kept


def main(descriptor: int) -> None:
    """Serves until the supervisor closes the pipe."""
    connection = channel.end(descriptor)
    first = channel.receive_frame(connection)
    if first is None:
        return
    output = _set_up(connection, first[0][0])
    entries: dict[str, Entry] = {}
    while (frame := channel.receive_frame(connection)) is not None:
        tasks, descriptors = frame
        for number, entry, payload, count in tasks:
            mine, descriptors = descriptors[:count], descriptors[count:]
            if entry not in entries:
                entries[entry] = _find(entry)
            for answer in _answers(number, entries[entry], payload, mine, output):
                connection.sendall(answer)


def _set_up(connection: socket, setup: dict[str, Any]) -> int:
    """Imports, locks up, reports. Returns the most bytes one answer may have."""
    time.strptime("2000", "%Y")
    for codec in _CODECS:
        codecs.lookup(codec)
    sys.path.extend(path for path in setup["path"] if path not in sys.path)
    try:
        for name in setup["preload"]:
            module, _, function = name.partition(":")
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
    except Exception as error:  # whatever it is, it must reach the supervisor: stderr is closed
        connection.sendall(channel.encode([0, "failed", f"{name}: {_say(error)}"]))
        raise SystemExit(1) from error
    code, why = setup["kernel"]
    hashing = one_pass.install(one_pass.Kernel(bytes.fromhex(code), why))
    policy = Policy(**{**setup["policy"], "layers": tuple(setup["policy"]["layers"])})
    held.descriptors, held.lists[:] = tuple(setup["held"]), setup["lists"]
    layers = lock_down(policy, setup["memory"], setup["supervisor"], len(held.descriptors) + len(held.lists))
    report = {name: {"reached": layer.reached, "detail": layer.detail} for name, layer in layers.items()}
    connection.sendall(channel.encode([0, "ready", report, hashing]))
    return int(setup["output"])


def _find(entry: str) -> Entry:
    """An entry of a module that was imported before the lock; nothing can be imported any more."""
    module, _, function = entry.partition(":")
    found: Entry = getattr(sys.modules[module], function)
    return found


def _answers(
    number: int, entry: Entry, payload: dict[str, Any], descriptors: list[int], output: int
) -> Iterator[bytes]:
    """The frames that answer one task. A plain entry gives one; a generator one per Reply, and an end."""
    try:
        answer = entry(payload, descriptors)
        if isinstance(answer, Reply):
            yield _reply(number, answer, True, output)
        else:
            yield from _stream(number, answer, output)
    except Absent as absent:
        yield _missing(number, absent.missing)
    except MemoryError:
        yield _missing(number, Missing(Reason.LIMIT_REACHED, "memory"))
    except Exception as error:  # noqa: BLE001  the one place where a parser's error becomes a recorded Missing
        yield _missing(number, Missing(Reason.UNPARSABLE, _say(error)))
    finally:
        for descriptor in descriptors:
            _close(descriptor)


def _stream(number: int, replies: Iterable[Reply], output: int) -> Iterator[bytes]:
    for reply in replies:
        yield _reply(number, reply, False, output)
    yield channel.encode([number, "end"])


def _reply(number: int, reply: Reply, last: bool, output: int) -> bytes:
    size = sum(map(len, reply.blobs))
    if size <= output:
        lengths = [len(blob) for blob in reply.blobs]
        frame = channel.encode([number, "reply", last, reply.value, lengths], reply.blobs, ascii_only=False)
        if len(frame) <= output and len(frame) - size <= channel.MOST_TEXT:
            return frame
        size = len(frame)
    raise Absent(Missing(Reason.LIMIT_REACHED, f"an answer of {size} bytes, where {output} are allowed"))


def _missing(number: int, missing: Missing) -> bytes:
    detail = missing.detail.encode(errors="replace").decode()
    return channel.encode([number, "missing", str(missing.reason), detail[:_DETAIL]])


def _say(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  an error whose own text cannot be made
        return type(error).__name__


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:  # the entry closed it itself
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
