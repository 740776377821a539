"""The three hashes by the machine code that is made here are hashlib's and libcrypto's, whatever the stream.

On a processor that the code is not for, the same tests hold for what hashlib does in its place.
"""

import ctypes
import hashlib
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import hash_code, hash_kernel, one_pass, resumable
from clew.core.engine import Limits, Policy, Pool, Task
from clew.core.one_pass import HASHLIB, WITH_KERNEL, Kernel, three
from clew.core.resumable import Digests

FLAGS = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
ABLE = platform.machine() == "x86_64" and {"sha_ni", "ssse3", "sse4_1"} <= FLAGS
LIMITS = Limits(seconds=20, seconds_per_mb=0, memory=256 << 20, output=1 << 20)
NAMES = ("md5", "sha1", "sha256")


@pytest.fixture(autouse=True, scope="module")
def kernel():
    """The code is in this process for these tests alone."""
    before, one_pass._mapped[:] = one_pass._mapped[:], []
    said = one_pass.install(hash_code.made())
    assert said == WITH_KERNEL if ABLE else said.startswith(HASHLIB)
    assert one_pass.installed() == ABLE
    yield
    one_pass._mapped[:] = before


def expected(data: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, data).hexdigest() for name in NAMES}


def test_every_length_up_to_some_blocks() -> None:
    noise = hashlib.shake_128(b"clew").digest(700)
    for length in range(700):
        hashes = three()
        hashes.update(noise[:length])
        assert hashes.hexdigests() == expected(noise[:length]), length


@given(st.binary(max_size=700), st.lists(st.integers(0, 130), max_size=20))
def test_any_chunks_and_telling_does_not_end_the_stream(data: bytes, lengths: list[int]) -> None:
    hashes, at = three(), 0
    for length in lengths:
        hashes.update(data[at : at + length])
        at = min(len(data), at + length)
        assert hashes.hexdigests() == expected(data[:at])
    hashes.update(data[at:])
    assert hashes.hexdigests() == expected(data)


def test_each_bit_counts() -> None:
    """Not one of the 512 bits of a block is lost on its way."""
    seen = set()
    for bit in range(512):
        block = (1 << bit).to_bytes(64, "big")
        hashes = three()
        hashes.update(block)
        assert hashes.hexdigests() == expected(block)
        seen.add(tuple(hashes.hexdigests().values()))
    assert len(seen) == 512


def test_two_streams_do_not_touch_each_other() -> None:
    one, other = three(), three()
    for _ in range(5):
        one.update(b"one" * 50)
        other.update(b"other" * 50)
    assert one.hexdigests() == expected(b"one" * 250)
    assert other.hexdigests() == expected(b"other" * 250)


# ---- states, against libcrypto

WORD = st.integers(0, 2**32 - 1)
LENGTHS = st.one_of(st.integers(0, 2**61 - 4096), st.integers(2**29 - 300, 2**29 + 300), st.sampled_from([2**32 - 1]))


def plain(state: dict[str, str], data: bytes) -> dict[str, str]:
    """What libcrypto makes of the same state."""
    library, found = resumable.library(), {}
    assert library is not None
    for kind in resumable.KINDS:
        low = resumable._Low(kind, library, bytes.fromhex(state[kind.name]))
        low.update(data)
        found[kind.name] = low.hexdigest()
    return found


@settings(deadline=None)
@given(st.lists(WORD, min_size=17, max_size=17), LENGTHS, st.binary(min_size=64, max_size=64), st.binary(max_size=300))
def test_any_state_goes_on_as_in_libcrypto(words: list[int], length: int, waiting: bytes, data: bytes) -> None:
    """Lengths beyond what a test can read: the number of bits has 64 bits, and is written in two byte orders."""
    count = length % 64
    rest = struct.pack("<Q64sI", 8 * length, waiting[:count], count)
    state = {
        "md5": (struct.pack("<4I", *words[:4]) + rest).hex(),
        "sha1": (struct.pack("<5I", *words[4:9]) + rest).hex(),
        "sha256": (struct.pack("<8I", *words[9:]) + rest + struct.pack("<I", 32)).hex(),
    }
    hashes = Digests(state)
    hashes.update(data)
    assert hashes.hexdigests() == plain(state, data)
    saved = hashes.state()
    assert saved is not None
    assert plain(saved, b"more") == plain(state, data + b"more")


# ---- the code in memory


def test_no_byte_of_it_can_be_written() -> None:
    if not one_pass.installed():
        assert not ABLE
        return
    base = one_pass._mapped[0].base
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(each, 16) for each in line.split()[0].split("-"))
        if start <= base < end:
            assert line.split()[1] == "r-xp"
            return
    pytest.fail("it is not mapped")


def test_a_locked_worker_has_it_and_no_compiler() -> None:
    with Pool(1, ("engine_entries", "hash_entries"), LIMITS, Policy(landlock_abi=2), kernel=hash_code.made()) as pool:
        assert all(layer["reached"] for layer in pool.isolation.values())
        assert pool.hashing == WITH_KERNEL if ABLE else pool.hashing.startswith(HASHLIB)

        def ask(entry: str, payload: dict[str, object]) -> object:
            (outcome,) = pool.run([Task("0", entry, payload)])
            return outcome.reply.value

        assert ask("hash_entries:digests", {"text": "clew" * 100}) == expected(b"clew" * 100)
        modules = ask("engine_entries:modules", {})
        assert isinstance(modules, list)
        assert not {"llvmlite", "clew.core.hash_kernel", "clew.core.hash_code", "subprocess"} & set(modules)
        if ABLE:
            # It may lose the code, but can neither make it writable while it is executable, nor executable again.
            denied = {"write and run": "EPERM", "write": "done", "run again": "EPERM"}
            for deed, answer in denied.items():
                assert ask("hash_entries:protect", {"deed": deed}) == answer, deed


# ---- where it cannot be had


def test_code_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if not ABLE:
        return
    for at in (0, 255, 256, 300, 511, 512, 543):  # constants of each kind: one bit of each
        monkeypatch.setattr(one_pass, "_mapped", [])
        code = bytearray(hash_code.made().code)
        code[at] ^= 1
        said = one_pass.install(Kernel(bytes(code)))
        assert said.startswith(f"{HASHLIB}: the kernel is wrong about"), at
        assert not one_pass.installed()
        hashes = three()
        hashes.update(b"clew")
        assert hashes.hexdigests() == expected(b"clew")


def test_a_system_that_maps_nothing_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(one_pass, "_mapped", [])
    monkeypatch.setattr(one_pass, "_map", refuse)
    assert (
        one_pass.install(Kernel(b"code")) == f"{HASHLIB}: the kernel could not be mapped: [Errno 13] Permission denied"
    )


def test_why_there_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_pass, "_mapped", [])
    assert one_pass.install(Kernel(why="this processor lacks sha")) == f"{HASHLIB}: this processor lacks sha"


@pytest.mark.parametrize(
    ("program", "why"), [("/bin/false", "ended with status 1"), ("/nonexistent", "No such file"), ("/bin/sh", "-P")]
)
def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, program: str, why: str) -> None:
    monkeypatch.setattr(sys, "executable", program)
    made = hash_code.made.__wrapped__()
    assert made.code == b""
    assert why in made.why


def test_other_processors_get_none(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr(hash_kernel.llvm, "get_host_cpu_features", lambda: {"ssse3": True, "sha": False})
    with pytest.raises(SystemExit, match=r"lacks sha, sse4\.1" if platform.machine() == "x86_64" else "x86-64"):
        hash_kernel.main()
    monkeypatch.setattr(hash_kernel.llvm, "get_process_triple", lambda: "aarch64-unknown-linux-gnu")
    with pytest.raises(SystemExit, match="x86-64"):
        hash_kernel.main()
    assert capsysbinary.readouterr().out == b""


def test_the_table_is_that_of_the_standards() -> None:
    """FIPS 180-4, 4.2.2 and RFC 1321, 3.4: the first and last of each."""
    words = struct.unpack_from("<128I", hash_kernel.TABLE)
    assert (words[0], words[63], words[64], words[127]) == (0x428A2F98, 0xC67178F2, 0xD76AA478, 0xEB86D391)
    assert len(hash_kernel.TABLE) == one_pass.TABLE


def test_the_code_is_made_the_same_every_time() -> None:
    if ABLE:
        again = subprocess.run([sys.executable, "-m", "clew.core.hash_kernel"], capture_output=True, check=True)
        assert again.stdout == hash_code.made().code
        assert ctypes.sizeof(ctypes.c_void_p) == 8
