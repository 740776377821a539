"""A power cut, made from the trace of a real run: which bytes a disk may hold when the power fails at one moment.

Durable is what was synced: a file's bytes by fsync or fdatasync of it, its name by fsync of its folder, or of itself
where it was never renamed; a folder's name by fsync of the folder that it lies in. Everything else may be there or not,
each write for itself, and a write may be torn at a sector. (Pillai et al., All File Systems Are Not Created Equal, OSDI
2014.)
"""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traced import Call

SECTOR = 512
TRACED = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,rename,renameat,"
    "renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,copy_file_range,sendfile"
)


@dataclass
class File:
    """One inode: what of it is durable, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, data); data None: cut to offset

    def sync(self) -> None:
        for offset, data in self.pending:
            apply(self.durable, offset, data)
        self.pending.clear()

    def after(self, dice: random.Random, loss: float) -> bytes:
        """What may be on the disk: each pending change kept, dropped or torn."""
        held = bytearray(self.durable)
        for offset, data in self.pending:
            if dice.random() < loss:
                if data and dice.random() < 0.3:
                    apply(held, offset, data[: dice.randrange(len(data)) // SECTOR * SECTOR])
                continue
            apply(held, offset, data)
        return bytes(held)


def apply(held: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del held[offset:]
        held.extend(bytes(offset - len(held)))
    elif data:
        held.extend(bytes(max(0, offset - len(held))))
        held[offset : offset + len(data)] = data


class Disk:
    """The folder `root` as a disk would hold it, while the trace is played."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.names: dict[str, File] = {}  # as the running system sees it
        self.durable: dict[str, File] = {}  # as a disk would find them again
        self.folders: set[str] = set()  # as the running system sees them
        self.durable_folders: set[str] = set()
        self._offsets: dict[str, int] = {}
        for path in root.rglob("*"):
            if path.is_dir():
                self.folders.add(str(path))
                self.durable_folders.add(str(path))
            elif not path.name.endswith("-shm"):
                self.names[str(path)] = self.durable[str(path)] = File(bytearray(path.read_bytes()))

    def play(self, call: Call) -> None:
        """One call of the trace. Raises ValueError for one that this model does not know."""
        if call.result < 0:
            return
        match call.name:
            case "openat" | "open" | "creat":
                self._open(call)
            case "pwrite64":
                self._write(call.path(0), int(call.arguments[3]), call.data(1)[: call.result])
            case "write":
                path = call.path(0)
                if self._mine(path):
                    at = self._offsets.get(path, 0)
                    self._write(path, at, call.data(1)[: call.result])
                    self._offsets[path] = at + call.result
            case "ftruncate":
                if self._mine(call.path(0)):
                    self._file(call.path(0)).pending.append((int(call.arguments[1]), None))
            case "fsync" | "fdatasync":
                self._sync(call.path(0))
            case "rename" | "renameat" | "renameat2":
                at = (0, 1) if call.name == "rename" else (1, 3)
                self._rename(call.path(at[0]), call.path(at[1]))
            case "unlink" | "unlinkat":
                self.names.pop(call.path(0 if call.name == "unlink" else 1), None)
            case "mkdir" | "mkdirat":
                self.folders.add(call.path(0 if call.name == "mkdir" else 1))
            case "rmdir":
                self.folders.discard(call.path(0))
            case _:
                if any(self._mine(word) for word in map(_path, call.arguments)):
                    raise ValueError(f"the model does not know {call.name}")

    def _open(self, call: Call) -> None:
        at = 0 if call.name != "openat" else 1
        path, flags = call.path(at), call.arguments[at + 1]
        if not self._mine(path) or path.endswith("-shm"):
            return
        if "O_CREAT" in flags and path not in self.names:
            self.names[path] = File()
        if path in self.names and "O_TRUNC" in flags:
            self._file(path).pending.append((0, None))
        self._offsets[path] = 0

    def _write(self, path: str, offset: int, data: bytes) -> None:
        if self._mine(path) and not path.endswith("-shm"):
            self._file(path).pending.append((offset, data))

    def _sync(self, path: str) -> None:
        if path in self.names:
            self.names[path].sync()
            self.durable.setdefault(path, self.names[path])
        elif self._mine(path):
            self.durable_folders = {each for each in self.durable_folders if os.path.dirname(each) != path}  # noqa: PTH120
            self.durable_folders |= {each for each in self.folders if os.path.dirname(each) == path}  # noqa: PTH120
            inside = [name for name in (*self.names, *self.durable) if os.path.dirname(name) == path]  # noqa: PTH120
            for name in inside:
                self.durable.pop(name, None)
                if name in self.names:
                    self.durable[name] = self.names[name]

    def _rename(self, old: str, new: str) -> None:
        if old in self.names:
            self.names[new] = self.names.pop(old)
            self._offsets[new] = self._offsets.pop(old, 0)

    def _file(self, path: str) -> File:
        return self.names.setdefault(path, File())

    def _mine(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def crash(self, target: Path, dice: random.Random, loss: float) -> None:
        """Writes to `target` what the disk may hold now: `loss` is the chance of each thing that was not synced."""
        found = dict(self.durable)
        for name in {*self.names, *self.durable}:
            if self.names.get(name) is not self.durable.get(name) and dice.random() >= loss:
                found.pop(name, None)
                if name in self.names:
                    found[name] = self.names[name]
        target.mkdir()
        there = {self.root}  # a folder whose name is lost takes with it what it holds
        for folder in sorted(self.folders | self.durable_folders):
            found_again = self.folders if dice.random() >= loss else self.durable_folders
            if folder in found_again and str(Path(folder).parent) in there:
                there.add(folder)
                (target / Path(folder).relative_to(self.root)).mkdir()
        for name, file in found.items():
            if str(Path(name).parent) in there:
                (target / Path(name).relative_to(self.root)).write_bytes(file.after(dice, loss))


def _path(word: str) -> str:
    return (
        bytes.fromhex(word.partition("<")[2].rpartition(">")[0].replace("\\x", "")).decode() if "<\\x" in word else ""
    )


def moments(log: Sequence[Call], first: int, count: int, dice: random.Random) -> list[int]:
    """So many places of the trace after `first`, in order."""
    return sorted(dice.sample(range(first, len(log)), count))
