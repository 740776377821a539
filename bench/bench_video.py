"""Picture hashes of a video's key frames, in CPU time of one core: intake's, against vpdq at one frame a second.

The same files, turn by turn, the best of each: 1080p H.264 with key frames every 30 and every 250 frames, and H.265
every 30, encoded here from frames made by code; with `--corpus` also ThreatExchange's sample videos. vpdq (PyPI, an
sdist that wants FFmpeg's headers) is called in the interpreter that `--vpdq` names, with one thread for its hashes;
where there is none, an equivalent loop stands in for it and the claim says so: PyAV decodes every frame, and
`pdqhash` hashes one a second.

The two do not answer the same question: that key frames match nothing never says that something is not there.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is there

import av
import pdqhash

from _claims import Claim, run
from _films import PHONE, clip
from clew.intake.api import Frame, Probe
from clew.intake.extractors import video

CLIPS = {  # name: encoder, frames between key frames, options
    "H.264 of 17 Mbit/s, key frames every 30": ("libx264", 30, PHONE),
    "H.264, key frames every 250": ("libx264", 250, {"preset": "veryfast", "crf": "23"}),
    "H.265, key frames every 30": (
        "libx265",
        30,
        {"preset": "ultrafast", "crf": "26", "x265-params": "log-level=none"},
    ),
}
VPDQ = """
import sys, time, vpdq
before = time.process_time()
found = vpdq.computeHash(sys.argv[1], seconds_per_hash=1.0, thread_count=1)
print(time.process_time() - before, len(found))
"""


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    command = f"python bench/bench_video.py --seconds {options.seconds} --rounds {options.rounds}"
    command += f" --vpdq {options.vpdq}" if options.vpdq else ""
    with tempfile.TemporaryDirectory() as folder:
        for name, (encoder, keys, how) in CLIPS.items():
            path = Path(folder) / "clip.mp4"
            clip(path, encoder, keys, how, options.seconds)
            yield compare(f"1080p {name}", [path], options, command)
    if options.corpus:
        found = sorted((options.corpus / "threatexchange/tmk/sample-videos").glob("*.mp4"))
        yield compare("ThreatExchange's sample videos", found, options, f"{command} --corpus {options.corpus.name}")


def compare(name: str, paths: list[Path], options: argparse.Namespace, command: str) -> Claim:
    peer = "vpdq" if options.vpdq else "decode all + pdqhash, standing in for vpdq"
    seconds = {"ours": 0.0, "peer": 0.0}
    keys = theirs = 0
    for path in paths:
        ways = {"ours": ours, "peer": partial(vpdq, options.vpdq) if options.vpdq else stand_in}
        rounds = [{way: each(path) for way, each in ways.items()} for _ in range(options.rounds)]
        keys, theirs = keys + rounds[0]["ours"][1], theirs + rounds[0]["peer"][1]
        for way in seconds:
            seconds[way] += min(each[way][0] for each in rounds)
    told = f"key frames of {name} ({keys} hashes) against {peer} ({theirs})"
    mine, other = seconds["ours"], seconds["peer"]
    return Claim(told, mine, other, other / mine, "CPU s", len(paths), command, least=10)


def ours(path: Path) -> tuple[float, int]:
    """What intake does with a video that it holds: facts, hashes, the contact sheet."""
    data = path.read_bytes()
    before = time.process_time()
    traits = list(video.PLUGIN.traits(Probe(memoryview(data), len(data), "video/mp4")))
    return time.process_time() - before, sum(isinstance(value, Frame) for _, value in traits)


def vpdq(python: str, path: Path) -> tuple[float, int]:
    said = subprocess.run([python, "-c", VPDQ, str(path)], check=True, capture_output=True, text=True).stdout.split()
    return float(said[-2]), int(said[-1])


def stand_in(path: Path) -> tuple[float, int]:
    before, count = time.process_time(), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if frame.time >= count:
                pdqhash.compute(frame.to_ndarray(format="rgb24"))
                count += 1
    return time.process_time() - before, count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each clip that is made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vpdq", help="a Python interpreter that has vpdq")
    parser.add_argument("--corpus", type=Path, help="the folder of real test inputs, for its sample videos")
    run("Video, bytes to picture hashes, one core", measure, parser)
