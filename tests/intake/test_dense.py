"""The dense look: all frames of a video on demand, with a receipt of its own, named as the operator names a content."""

import io
import json
import os
from pathlib import Path
from typing import Any

import av
import films
import numpy as np
import pytest
from cases import sha256
from click.testing import CliRunner

from case_made import new_case
from clew.cli.main import cli
from clew.core import pdq, shards
from clew.core.case import Case
from clew.core.errors import Exit, Usage
from clew.intake.api import Frame, Probe
from clew.intake.dense import dense, named
from clew.intake.extractors import video
from clew.intake.options import Options
from clew.intake.run import intake

OPTIONS = Options(workers=1)


@pytest.fixture
def taken(tmp_path: Path) -> tuple[Case, Path]:
    root = tmp_path / "evidence"
    (root / "DCIM").mkdir(parents=True)
    films.make(root / "DCIM/clip.mp4", "mp4")
    films.make(root / "DCIM/other.avi", "avi", "mpeg4", scenes=(5, 6))
    (root / "text.txt").write_text("no video\n")
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="P", options=OPTIONS)
    return case, root


def said(case: Case, content: bytes) -> dict[str, list[dict[str, Any]]]:
    rows = shards.query(case, "SELECT * FROM traits WHERE content=? ORDER BY number", (content,)).to_pylist()
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def test_all_frames_of_the_named_video_and_of_no_other(taken):
    case, root = taken
    clip, other = (sha256((root / "DCIM" / name).read_bytes()) for name in ("clip.mp4", "other.avi"))
    looked = dense(case, [clip], options=OPTIONS)
    assert (looked.asked, looked.done, looked.failed) == (1, 1, {})
    rows = said(case, clip)["video.pdq.dense"]
    assert [round(row["number"], 2) for row in rows] == [n / films.RATE for n in range(films.SCENES * films.RATE)]
    assert {row["mode"] for row in rows} == {"dense"}
    for row in rows:
        assert pdq.distance(row["data"], pdq.hash_rgb(films.picture(int(row["number"])))[0]) <= 10
    assert said(case, clip)["video.dense.every"][0]["number"] == 0
    assert len(said(case, clip)["video.pdq"]) == films.SCENES, "key frames stay as they were"
    assert "video.pdq.dense" not in said(case, other)


def test_what_is_there_as_dense_is_left_and_what_is_not_is_looked_at(taken):
    case, root = taken
    clip = sha256((root / "DCIM/clip.mp4").read_bytes())
    count = "SELECT count(*) FROM receipts"
    before = case.read().execute(count).fetchone()[0]
    for every, done, frames in ((1.0, 1, 4), (2.0, 0, 4), (1.0, 0, 4), (0.5, 1, 4 + 8)):
        assert dense(case, [clip], every=every, options=OPTIONS).done == done
        assert len(said(case, clip)["video.pdq.dense"]) == frames
    assert case.read().execute(count).fetchone()[0] == before + 2


def test_what_has_no_frames_and_what_is_gone_say_so(taken):
    case, root = taken
    text, clip = (sha256((root / name).read_bytes()) for name in ("text.txt", "DCIM/clip.mp4"))
    (root / "DCIM/clip.mp4").unlink()
    looked = dense(case, [text, clip], options=OPTIONS)
    assert looked.done == 0
    assert looked.failed[text.hex()].startswith("not applicable")
    assert "could not be opened" in looked.failed[clip.hex()]
    assert said(case, clip)["video.pdq.dense"][0]["missing"] == "unreadable"


def test_the_verb_takes_a_path_or_the_beginning_of_a_hash_and_says_what_it_did(taken, monkeypatch):
    case, root = taken
    clip = sha256((root / "DCIM/clip.mp4").read_bytes())
    for name in ("DCIM/clip.mp4", clip.hex(), clip.hex()[:6].upper()):
        assert named(case, name) == clip
    for name in (clip.hex()[:5], "DCIM", "", "%", clip.hex()[:-1] + "g"):
        with pytest.raises(Usage):
            named(case, name)
    monkeypatch.setenv("CLEW_ACTOR", "wren")
    folder = str(case.folder)
    result = CliRunner().invoke(cli, ["dense", folder, "DCIM/clip.mp4", "DCIM/other.avi", "--every", "1", "--json"])
    assert result.exception is None or result.exit_code == Exit.DONE, result.output
    assert json.loads(result.output) == {"asked": 2, "done": 2, "had": 0, "failed": {}}
    assert len(said(case, clip)["video.pdq.dense"]) == films.SCENES
    result = CliRunner().invoke(cli, ["dense", folder, "text.txt"], standalone_mode=False)
    assert result.return_value == Exit.INCOMPLETE
    assert "no statement" in result.output


def frames_of(data: bytes, mode: str) -> list[Frame]:
    traits = video.PLUGIN.traits(Probe(memoryview(data), len(data), "video/mp4", mode))
    return [value for _, value in traits if isinstance(value, Frame)]


def again(data: bytes, codec: str, height: int, options: dict[str, str], skip: float = 0.0) -> bytes:
    """Encoded anew, smaller, from `skip` seconds on."""
    out = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(out, "w", format="mp4") as target:
        seen = source.streams.video[0]
        stream = target.add_stream(codec, rate=seen.average_rate, options=options)
        stream.width, stream.height = seen.width * height // seen.height // 2 * 2, height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        at = 0
        for frame in source.decode(seen):
            if frame.time is not None and frame.time >= skip:
                small = frame.reformat(stream.width, stream.height, "yuv420p")
                small.pts, small.time_base = at, 1 / stream.codec_context.framerate
                at += 1
                target.mux(stream.encode(small))
        target.mux(stream.encode())
    return out.getvalue()


def matched(query: list[Frame], known: list[Frame]) -> int:
    good = [each.pdq for each in known if each.quality >= 50]
    return sum(min(pdq.distance(frame.pdq, each) for each in good) <= 31 for frame in query if frame.quality >= 50)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["pattern-sd-grey-bar", "doorknob-hd-no-bar"])
def test_key_frames_of_what_was_encoded_anew_are_found(name: str) -> None:
    data = corpus(name).read_bytes()
    keys, all_of_it = frames_of(data, "fast"), frames_of(data, "dense")
    for codec, height, options in (("libx264", 360, {"preset": "ultrafast"}), ("mpeg4", 240, {})):
        query = frames_of(again(data, codec, height, options), "fast")
        assert matched(query, keys) >= 1, (name, codec)
        assert matched(query, all_of_it) >= len([frame for frame in query if frame.quality >= 50]) // 2, (name, codec)


@pytest.mark.corpus
def test_a_clip_that_holds_none_of_the_key_frames_is_found_by_the_frames_between_them() -> None:
    data = corpus("pattern-sd-with-small-logo-bar").read_bytes()
    query = frames_of(again(data, "libx264", 360, {"preset": "ultrafast"}, skip=1.03), "fast")
    assert matched(query, frames_of(data, "dense")) == len(query) >= 1


@pytest.mark.corpus
def test_hashes_are_near_those_that_vpdq_published() -> None:
    """sample-hashes: frame, quality, hash, seconds of every frame; vpdq hashes without PDQ's 512 x 512 step."""
    distances = []
    for path in sorted(corpus("").parent.glob("*.mp4")):
        lines = corpus("").parents[2] / "vpdq/sample-hashes" / f"{path.stem}.txt"
        theirs = [line.split(",") for line in lines.read_text().split()]
        for frame in frames_of(path.read_bytes(), "fast"):
            _, quality, value, _ = min(theirs, key=lambda row, at=frame.seconds: abs(float(row[3]) - at))
            if int(quality) >= 80:
                distances.append(pdq.distance(frame.pdq, bytes.fromhex(value)))
    assert len(distances) >= 80
    assert max(distances) <= 31
    assert np.mean(distances) <= 10


def corpus(name: str) -> Path:
    return Path(os.environ["CLEW_CORPUS"]) / f"threatexchange/tmk/sample-videos/{name}.mp4"
