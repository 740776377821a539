"""The harness itself: it knows every example, plays it as written, and notices what it is there for."""

import subprocess
import sys
from pathlib import Path

import observer
import pytest

import example_talk
from clew.observe.api import Sighted

TARGETS = observer.targets()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_a_target_begins_from_is_read_without_a_finding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "SHOWN", 1)
    once, seeds = TARGETS[name]
    for seed in seeds:
        once(seed)
        once(seed[: len(seed) // 2])
    assert seeds


def test_every_example_and_every_transport_is_in_a_target() -> None:
    held = [example for some in observer.grouped().values() for _, example in some]
    assert len(held) == sum(len(network.examples) for network in observer.NETWORKS.values())
    for name, network in observer.NETWORKS.items():
        assert {f"{name} {transport}" for transport in network.transports} <= set(TARGETS)
    assert {"bittorrent http", "bittorrent udp", "bittorrent dht", "bittorrent tcp gossip"} <= set(TARGETS)
    files = ("pcap", "pcapng", "csvlog", "jsonlines")
    assert {"fragments", "register mmdb", "register prefixes", *(f"file {each}" for each in files)} <= set(TARGETS)


def test_a_conversation_that_does_not_end_or_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    network, example = observer.grouped()["bittorrent dht"][0]
    kind = type(example_talk.begin(network, example))
    with monkeypatch.context() as patch:
        patch.setattr(kind, "tick", lambda *_: [])
        with pytest.raises(AssertionError, match="does not end"):
            observer.converse(network, example, [])
    with monkeypatch.context() as patch:
        patch.setattr(kind, "receive", lambda *_: [Sighted(None, b"")] * 2)  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="ends twice"):
            observer.converse(network, example, [b"x"])


def test_atheris_runs_a_target_to_its_end() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(observer.__file__)), "500", "bencode"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bencode: 500 inputs" in done.stdout
    assert "1 targets, 1 without a finding" in done.stdout
