"""`python tests/fuzz/observer.py N [TARGET ...]`: every parser of the observer under atheris, N inputs each.

Everything is driven through the contracts of plug-ins alone, by their own examples: a new transport or tracker, a new
format of captures or logs, a new register is covered as soon as it has one. A target fails on any exception that
escapes, on a message outside the closed set, on an input that takes longer than SECONDS, and on more memory than
MEGABYTES. Ends with status 1 if one failed.

An input of a conversation is: which example, how much of its script is played first, and then parts of what comes in,
each after its length (2 bytes, big-endian). Where they end, time passes until the conversation is over.
"""

import contextlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS, MEGABYTES, LONGEST = 10, 768, 8_192
SHARE = int(os.environ.get("CLEW_FUZZ_PROCESSES", "2"))

if "--one" in sys.argv:  # the imports below are those that atheris watches
    import atheris

    watched = atheris.instrument_imports(include=["clew.observe", "clew.attribute.registers", "clew.core.bencode"])
else:
    watched = contextlib.nullcontext()
sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, the helper lies one folder up
with watched:
    from clew.attribute.api import Register
    from clew.core import bencode, plugins
    from clew.core.errors import ClewError, Damaged, Usage
    from clew.observe import transcript
    from clew.observe.api import (
        Ask,
        Contact,
        Example,
        Listing,
        Network,
        Send,
        Sighted,
    )
    from clew.observe.captures._carry import read_account, read_finding, written
    from clew.observe.captures._fragments import LOST, Fragment, Fragments
    from clew.observe.taken import Account, Source, Watchlist
    from example_talk import begin, heard

    NETWORKS: dict[str, Network] = plugins.load_all("clew.observe.networks")
    SOURCES: dict[str, Source] = plugins.load_all("clew.observe.captures")
    REGISTERS: dict[str, Register] = plugins.load_all("clew.attribute.registers")

MOST_TICKS, MOST_HELD, MOST_SENT = 64, 512 * 1024, 64
SHOWN = 8  # one conversation of so many is shown too, which costs nearly as much; `transcript` shows any bytes
Target = Callable[[bytes], None]


def group(network: str, example: Example) -> str:
    """Which target an example belongs to: what a conversation is held over decides which parsers it meets."""
    about = example.about
    if isinstance(about, Ask):
        return f"{network} {about.tracker.url.split(':')[0]}"
    return f"{network} {example.transport}{' gossip' if about.gossip else ''}"


def grouped() -> dict[str, list[tuple[Network, Example]]]:
    """Every example, by its target."""
    found: dict[str, list[tuple[Network, Example]]] = {}
    for name, network in NETWORKS.items():
        for example in network.examples:
            found.setdefault(group(name, example), []).append((network, example))
    return found


def parts(data: bytes) -> Iterator[bytes]:
    """The parts of an input, as the module's first lines say."""
    at = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


def converse(network: Network, example: Example, incoming: list[bytes]) -> Sighted:
    """Holds a conversation to its end, judges it, and returns what is kept of it."""
    talk, now = begin(network, example), 1_000
    events = talk.opened(now)
    for data in incoming:
        now += 1_000_000
        events += talk.receive(data, now)
        assert talk.held <= MOST_HELD, "it holds too much"
    ticks = 0
    while not any(isinstance(event, Sighted) for event in events):
        now, ticks = max(now + 1, talk.wake_ns), ticks + 1
        events += talk.tick(now)
        assert ticks < MOST_TICKS, "it does not end"
    sent = [event.message for event in events if isinstance(event, Send)]
    assert {type(message) for message in sent} <= set(network.sendable), "it sends what is not in the closed set"
    assert len(sent) <= MOST_SENT + len(incoming), "it sends too much"
    ends = [event for event in events if isinstance(event, Sighted)]
    assert len(ends) == 1, "it ends twice"
    now += 1
    assert not any(isinstance(e, Sighted) for e in [*talk.receive(b"more", now), *talk.tick(now), *talk.closed(now)])
    return ends[0]


def shown(network: Network, end: Sighted) -> None:
    """What is kept can be read and shown, for each of the first endpoints listed too."""
    transcript.decode(end.transcript)
    network.describe(end.transcript, {})
    found = end.finding.gossip if isinstance(end.finding, Contact) else end.finding
    for one in found.listed[:3] if isinstance(found, Listing) else ():
        assert 0 < one.port < 65_536
        network.describe(found.proof(one), {})


def conversation(examples: list[tuple[Network, Example]]) -> Target:
    """The target that holds any of these conversations."""

    def once(data: bytes) -> None:
        if len(data) < 2:
            return
        network, example = examples[data[0] % len(examples)]
        said = heard(example)
        end = converse(network, example, [*said[: data[1] % max(1, len(said))], *parts(data[2:])])
        if zlib.crc32(data) % SHOWN == 0:
            shown(network, end)

    return once


def read_bencode(data: bytes) -> None:
    """Any bytes as bencoding: a dictionary, or refused."""
    with contextlib.suppress(bencode.Malformed):
        for _, place in bencode.dictionary(data).values():
            assert 0 <= place.start < place.stop <= len(data)


def read_transcript(data: bytes) -> None:
    """Any bytes as a stored transcript, with and without a header before them."""
    for stored in (data, transcript.MAGIC + bytes(8) + data):
        with contextlib.suppress(Damaged):
            transcript.decode(stored)
            for network in NETWORKS.values():
                network.describe(stored, {b"\x11" * 20: "W-1"})


def read_url(data: bytes) -> None:
    """Any text as a tracker's address."""
    with contextlib.suppress(Usage):
        for network in NETWORKS.values():
            network.tracker(data.decode("utf-8", "replace"))


def reading(source: Source) -> Target:
    """The target that reads a file of a capture plug-in, and what a worker would say of it."""
    watchlist = Watchlist(source.examples[0].watched)

    def once(data: bytes) -> None:
        source.recognises(data[:4096])
        account = Account()
        for found in source.read(io.BytesIO(data), watchlist, account):
            assert read_finding(written(found), found.transcript, watchlist) == found
        counts, flaws = dict(+account.counts), [[each.reason.value, each.detail] for each in account.flaws]
        assert read_account({"counts": counts, "flaws": flaws}).counts == account.counts

    return once


def put_together(data: bytes) -> None:
    """Any fragments of IP: each is accounted for, and nothing is held when they are over.

    A fragment is 16 bytes that say whose it is, when it came, where it stands and how long it is, and then its bytes.
    """
    account, number, at, whole = Account(), 0, 0, 0
    fragments = Fragments(account)
    while at + 16 <= len(data):
        head, length = data[at : at + 16], 8 * (data[at + 15] % 32) + data[at + 14] % 2 * (data[at + 13] % 8)
        size = 4 if head[0] % 2 else 16
        key, at_ns = (bytes(size), bytes(size), head[1] % 4), int.from_bytes(head[2:5], "big") * 10_000_000
        offset, part = head[7] % 64 * 8, data[at + 16 : at + 16 + length]
        whole += fragments.take(Fragment(at_ns, key, offset, bool(head[5] % 2), part)) is not None
        at, number = at + 16 + length, number + 1
    fragments.finish()
    assert not fragments._bytes, "it holds what is over"
    assert whole or account.counts[LOST] + account.counts["fragments of IP sent again"] == number, "one is not counted"


def looking_up(register: Register) -> Target:
    """The target that opens a register's file and asks it."""

    def once(data: bytes) -> None:
        descriptor = os.memfd_create("register")
        os.write(descriptor, data)
        try:
            opened = register.open(Path(f"/proc/self/fd/{descriptor}"))
            assert opened.dated_ns is None or isinstance(opened.dated_ns, int)
            for address in ("198.51.100.65", "2001:db8::1", "127.0.0.1", "no address"):
                opened.lookup(address)
        except ClewError:
            pass
        finally:
            os.close(descriptor)

    return once


def of_files() -> dict[str, tuple[Target, list[bytes]]]:
    """The targets that read what others hand over: captures, logs, registers."""
    found: dict[str, tuple[Target, list[bytes]]] = {}
    for name, source in SOURCES.items():
        found[f"file {name}"] = (reading(source), [example.data for example in source.examples])
    heads = (bytes((1, 1, 0, 0, 0, 1, 0, 0)) + bytes(7) + b"\2", bytes((1, 1, 0, 0, 0, 0, 0, 2)) + bytes(7) + b"\1")
    udp = bytes((27, 57, 27, 57, 0, 24, 0, 0)) + bytes(16)  # without a checksum: RFC 768
    found["fragments"] = (put_together, [heads[0] + udp[:16] + heads[1] + udp[16:], heads[1] + udp[16:]])
    with tempfile.TemporaryDirectory(prefix="clew-fuzz-") as folder:
        for name, register in REGISTERS.items():
            path, _ = register.example(Path(folder))
            if path is not None:
                found[f"register {name}"] = (looking_up(register), [path.read_bytes()])
    return found


def targets() -> dict[str, tuple[Target, list[bytes]]]:
    """Every target with the inputs that it begins from."""
    found = {}
    told: list[bytes] = []
    transcripts: list[bytes] = []
    for name, examples in grouped().items():
        seeds = []
        for number, (_, example) in enumerate(examples):
            said = heard(example)
            told += said
            for played in range(max(1, len(said))):  # never all of it: what is played cannot be changed
                rest = b"".join(len(each).to_bytes(2, "big") + each for each in said[played:])
                seeds.append(bytes((number, played)) + rest)
        found[name] = (conversation(examples), seeds)
    for network, example in (pair for some in grouped().values() for pair in some):
        talk = begin(network, example)
        events = talk.opened(1)
        for each in heard(example):
            events += talk.receive(each, 2)
        events += talk.closed(3)
        transcripts += [event.transcript for event in events if isinstance(event, Sighted)]
    found["transcript"] = (read_transcript, [data[at:] for data in transcripts for at in (0, 11)])
    found["bencode"] = (read_bencode, [each[each.find(b"d") :] for each in told if b"d" in each])
    urls = (b"http://127.1.0.1:1/a", b"udp://[::1]:1/a", b"dht://127.1.0.1:1")
    found["url"] = (read_url, list(urls))
    return found | of_files()


def one(name: str, runs: int, folder: Path) -> None:
    """Runs one target in this process; never returns."""
    once, seeds = targets()[name]
    for number, seed in enumerate(seeds):
        (folder / f"seed{number}").write_bytes(seed)
    options = [f"-runs={runs}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={LONGEST}"]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={folder}/failed-", "-print_final_stats=1", str(folder)], once
    )
    atheris.Fuzz()


def run(name: str, runs: int) -> bool:
    """Runs one target in a process of its own and prints a line about it; whether nothing was found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clew-fuzz-") as folder:
        command = [sys.executable, __file__, str(runs), "--one", name, folder]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        failed = [path for path in Path(folder).iterdir() if path.name.startswith("failed-")]
        fine = done.returncode == 0 and f"Done {runs} runs" in done.stderr and not failed
        peak = [line.split()[-1] for line in done.stderr.splitlines() if "peak_rss_mb" in line] or ["?"]
        words = "nothing found" if fine else f"FAILED with status {done.returncode}"
        print(f"{name}: {runs} inputs, {time.monotonic() - began:.0f} s, {peak[0]} MB: {words}", flush=True)
        if not fine:
            print(done.stdout[-2_000:], done.stderr[-4_000:], *(p.read_bytes().hex() for p in failed), sep="\n")
    return fine


def main() -> int:
    """Runs what is named, or everything."""
    runs, names = int(sys.argv[1]), sys.argv[2:] or list(targets())
    with ThreadPoolExecutor(SHARE) as pool:
        fine = list(pool.map(lambda name: run(name, runs), names))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{len(names)} targets, {sum(fine)} without a finding, {spent.ru_utime + spent.ru_stime:.0f} CPU-seconds")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[3], int(sys.argv[1]), Path(sys.argv[4]))
    sys.exit(main())
