"""`python tests/fuzz/observer.py N [TARGET ...]`: every parser of the observer under atheris, N inputs each.

Conversations are driven through the contract of network plug-ins alone, by their own examples: a new transport or
tracker is covered as soon as it has one. A target fails on any exception that escapes, on a message outside the closed
set, on an input that takes longer than SECONDS, and on more memory than MEGABYTES. Ends with status 1 if one failed.

An input is: which example, how much of its script is played first, and then parts of what comes in, each after its
length (2 bytes, big-endian). Where they end, time passes until the conversation is over.
"""

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS, MEGABYTES, LONGEST = 10, 768, 8_192
SHARE = int(os.environ.get("CLEW_FUZZ_PROCESSES", "2"))

if "--one" in sys.argv:  # the imports below are those that atheris watches
    import atheris

    watched = atheris.instrument_imports(include=["clew.observe", "clew.core.bencode"])
else:
    watched = contextlib.nullcontext()
sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, the helper lies one folder up
with watched:
    from clew.core import bencode, plugins
    from clew.core.errors import Damaged, Usage
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
    from example_talk import begin, heard

    NETWORKS: dict[str, Network] = plugins.load_all("clew.observe.networks")

MOST_TICKS, MOST_HELD, MOST_SENT = 64, 512 * 1024, 64
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


def converse(network: Network, example: Example, incoming: list[bytes]) -> None:
    """Holds a conversation to its end and judges it."""
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
    shown(network, ends[0])
    now += 1
    assert not any(isinstance(e, Sighted) for e in [*talk.receive(b"more", now), *talk.tick(now), *talk.closed(now)])


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
        converse(network, example, [*said[: data[1] % max(1, len(said))], *parts(data[2:])])

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
    return found


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
