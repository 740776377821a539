"""Each layer of the sandbox denies what it should, tested alone and together, with Landlock held to ABI 2.

None of these tests knows how to skip: where a layer cannot be reached, they fail.
"""

import os
import platform
import stat
import subprocess

import engine_entries as entries
import pytest

from clew.core import hash_code, seccomp
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.core.errors import Refused
from clew.core.sandbox import LAYERS, STRONG
from clew.model import Missing

LIMITS = Limits(seconds=20, seconds_per_mb=0, memory=256 << 20, output=1 << 20)
BASE = ("no_new_privs", "dies_with_supervisor")
ROOT = os.geteuid() == 0
X86 = platform.machine() == "x86_64"
ABI_2 = 2


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Things to reach for, on which everyone has every right but for `secret`."""
    folder = tmp_path_factory.mktemp("reach")
    folder.chmod(0o777)
    for parent in folder.parents[:3]:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    (folder / "open").write_bytes(b"anyone's")
    (folder / "open").chmod(0o666)
    (folder / "secret").write_bytes(b"ours")
    (folder / "secret").chmod(0o600)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as bystander:
        yield folder, bystander.pid
        bystander.stdin.close()


def _pool(layers, abi=ABI_2):
    policy = Policy(accept_weak=True, layers=layers, landlock_abi=abi)
    return Pool(1, ("engine_entries", "threading"), LIMITS, policy, kernel=hash_code.made())


@pytest.fixture(scope="module")
def pools():
    """One pool for each choice of layers, started when first asked for."""
    made = {}

    def get(layers, abi=ABI_2):
        if (layers, abi) not in made:
            made[layers, abi] = _pool(layers, abi).__enter__()
        return made[layers, abi]

    yield get
    for pool in made.values():
        pool.close()


def attempt(pool, what, places):
    folder, bystander = places
    targets = {
        "read file": str(folder / "open"),
        "write file": str(folder / "open"),
        "make folder": str(folder / "new"),
        "remove file": str(folder / "open"),
        "trace": bystander,
    }
    (outcome,) = pool.run([Task("0", "engine_entries:attempt", {"what": what, "target": targets.get(what)})])
    return outcome.reply.value if isinstance(outcome.reply, Reply) else outcome.reply


FILES = {
    "read file": "EACCES", "write file": "EACCES", "make folder": "EACCES", "list folder": "EACCES",
    "remove file": "EACCES", "run program": "EACCES", "trace": "EPERM",
}  # fmt: skip
CALLS = {
    "read file": "EPERM", "write file": "EPERM", "make folder": "EPERM", "list folder": "EPERM", "remove file": "EPERM",
    "run program": "EPERM", "trace": "EPERM", "socket": "EPERM", "fork": "EPERM", "thread": "can't start new thread",
    "signal parent": "EPERM", "signal group": "EPERM", "become root": "EPERM", "executable memory": "EPERM",
    "raise limits": "EPERM",
}  # fmt: skip
RAW_CALLS = {what: "ENOSYS" if what == "clone3" else "EPERM" for what in entries._RAW}
RESOURCES = {
    "allocate": "MemoryError", "fork": "EAGAIN", "thread": "can't start new thread", "open many": "EMFILE",
    "write file": "EFBIG",
}  # fmt: skip
USER = {"become root": "EPERM", "signal parent": "EPERM", "trace": "EPERM"}
HARMLESS = ("signal itself", "look at limits")


@pytest.mark.parametrize(("what", "expected"), FILES.items(), ids=list(FILES))
def test_landlock_alone_at_abi_2_denies(pools, places, what, expected):
    pool = pools((*BASE, "landlock"))
    assert pool.isolation["landlock"] == {"reached": True, "detail": "no path at all, ABI 2"}
    assert attempt(pool, what, places) == expected


@pytest.mark.parametrize(("what", "expected"), (CALLS | RAW_CALLS).items(), ids=list(CALLS | RAW_CALLS))
def test_the_filter_alone_denies(pools, places, what, expected):
    assert X86, "the raw numbers of these attempts are those of x86_64"
    pool = pools((*BASE, "seccomp"))
    assert pool.isolation["seccomp"]["reached"]
    assert attempt(pool, what, places) == expected


@pytest.mark.parametrize(("what", "expected"), RESOURCES.items(), ids=list(RESOURCES))
def test_the_limits_alone_deny(pools, places, what, expected):
    # The number of processes is not limited for root, so the user goes with it.
    pool = pools((*BASE, "user", "limits"))
    assert pool.isolation["limits"]["reached"]
    assert attempt(pool, what, places) == expected


@pytest.mark.parametrize(("what", "expected"), USER.items(), ids=list(USER))
def test_the_user_alone_is_denied(pools, places, what, expected):
    pool = pools((*BASE, "user"))
    assert pool.isolation["user"]["reached"]
    if not ROOT and what != "become root":
        pytest.skip("only root can give its user up")
    assert attempt(pool, what, places) == expected
    (outcome,) = pool.run([Task("0", "engine_entries:status", {})])
    assert not ROOT or outcome.reply.value[2:] == [65534, 65534, []]


@pytest.mark.parametrize("what", sorted((FILES | CALLS | RESOURCES).keys() - {"become root", "trace"}))
def test_without_layers_the_same_attempts_succeed(pools, places, what):
    """The control: what the other tests see denied is denied by the layers, not by the attempt."""
    pool = pools(("dies_with_supervisor",))
    (places[0] / "open").write_bytes(b"anyone's")
    result = attempt(pool, what, places)
    (places[0] / "open").write_bytes(b"anyone's")
    (places[0] / "open").chmod(0o666)
    if (places[0] / "new").exists():
        (places[0] / "new").rmdir()
    if what == "run program":  # it became that program
        assert result == Missing(result.reason, "the worker ended (exit status 0) while on this item")
    else:
        assert result == "done"


ALL = FILES | CALLS | RAW_CALLS | {"allocate": "MemoryError", "open many": "EMFILE"}


@pytest.mark.parametrize(("what", "expected"), ALL.items(), ids=list(ALL))
@pytest.mark.parametrize("abi", [ABI_2, None], ids=["abi 2", "abi of the kernel"])
def test_all_layers_together_deny(pools, places, what, expected, abi):
    pool = pools(LAYERS, abi)
    assert all(layer["reached"] for layer in pool.isolation.values())
    assert attempt(pool, what, places) in (expected, CALLS.get(what))


@pytest.mark.parametrize("what", HARMLESS)
def test_what_harms_nobody_is_allowed(pools, places, what):
    assert attempt(pools(LAYERS), what, places) == "done"


def test_no_new_privileges_and_no_tracing(pools):
    (outcome,) = pools((*BASE,)).run([Task("0", "engine_entries:status", {})])
    assert outcome.reply.value[:2] == [1, 0]


def test_each_layer_is_reported(pools):
    report = pools((*BASE, "landlock")).isolation
    assert list(report) == list(LAYERS)
    assert {name for name, layer in report.items() if layer["reached"]} == {*BASE, "landlock"}
    assert report["seccomp"] == {"reached": False, "detail": "not asked for"}


@pytest.mark.parametrize("lost", STRONG)
def test_weak_isolation_is_refused_unless_accepted(lost):
    layers = tuple(layer for layer in LAYERS if layer != lost)
    if lost == "no_new_privs" and ROOT:
        layers = tuple(layer for layer in layers if layer != "user")  # root may filter without it
    with (
        pytest.raises(Refused, match=f"{lost}: not asked for") as refused,
        Pool(1, ("engine_entries",), LIMITS, Policy(layers=layers)),
    ):
        pass
    assert "--accept-weak-isolation" in refused.value.hint


def run_filter(program, number, arguments=(), architecture=0xC000003E):
    """A small interpreter of the classic BPF that the filter is written in."""
    words = {0: number, 4: architecture}
    for index, value in enumerate(arguments):
        words[16 + 8 * index], words[20 + 8 * index] = value & 0xFFFFFFFF, value >> 32
    at, held = 0, 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        match code:
            case 0x20:
                held = words.get(k, 0)
            case 0x15:
                at += yes if held == k else no
            case 0x25:
                at += yes if held > k else no
            case 0x45:
                at += yes if held & k else no
            case 0x06:
                return k


ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x50001, 0x50026


@pytest.mark.parametrize(("machine", "column", "audit"), [("x86_64", 0, 0xC000003E), ("aarch64", 1, 0xC00000B7)])
def test_the_filter_for_each_architecture(machine, column, audit):
    program = seccomp.program(machine, pid=77)
    allowed = {numbers[column] for numbers in seccomp.ALLOWED.values()} - {None}
    guarded = {"kill": (62, 129), "tgkill": (234, 131), "fcntl": (72, 25), "prlimit": (302, 261), "mmap": (9, 222),
               "mprotect": (10, 226)}  # fmt: skip
    special = {name: numbers[column] for name, numbers in guarded.items()}

    def verdict(number, *arguments):
        return run_filter(program, number, arguments, audit)

    for number in set(range(600)) - set(special.values()):
        expected = ALLOW if number in allowed else ENOSYS if number == 435 else EPERM
        assert verdict(number, 5, 6, 7) == expected
        assert verdict(number | 0x40000000) == EPERM
        assert run_filter(program, number, (), audit ^ 1) == EPERM
    for name in ("kill", "tgkill"):
        assert (verdict(special[name], 77), verdict(special[name], 76)) == (ALLOW, EPERM)
    for name in ("mmap", "mprotect"):
        assert (verdict(special[name], 0, 0, 3), verdict(special[name], 0, 0, 4)) == (ALLOW, EPERM)
    commands = {command for command in range(2000) if verdict(special["fcntl"], 0, command) == ALLOW}
    assert commands == {0, 1, 2, 3, 1030}
    assert verdict(special["prlimit"], 0, 7, 0, 1) == ALLOW
    assert {verdict(special["prlimit"], *a) for a in ((1, 7, 0), (0, 7, 1), (0, 7, 1 << 32))} == {EPERM}


def test_no_filter_for_an_unknown_architecture():
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64", 1)
