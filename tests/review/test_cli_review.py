"""`clew review` as a process: prints an address that works once, serves 127.0.0.1 alone, ends quietly on Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from review_page import Known

from clew.cli.main import main


def test_clew_review_serves_until_interrupted(known: Known) -> None:
    command = [sys.executable, "-c", "from clew.cli.main import main; main()", "review", str(known.case.folder)]
    options = ["--reviewer", "crane", "--scheme", "training", "--no-browser", "--json"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["reviewer"] == "crane"
        assert told["url"].startswith("http://127.0.0.1:")
        with httpx.Client(headers={"sec-fetch-site": "none"}) as client:
            assert client.get(told["url"]).status_code == 200
            page = client.get(told["url"].partition("/enter")[0] + "/")
            assert "crane" in page.text
            assert "Exercise category A" in page.text
            assert "server" not in page.headers
            assert client.get(told["url"]).status_code == 403
    finally:
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--scheme", "nowhere"], 2, "there is no scheme"),
        (["--reviewer", "a name\n"], 2, "cannot be a reviewer's name"),
        (["--port", "99999"], 2, "99999"),
    ],
)
def test_what_is_given_wrong_is_said(
    known: Known, capsys: pytest.CaptureFixture[str], options: list[str], status: int, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["review", str(known.case.folder), "--no-browser", *options])
    assert ended.value.code == status
    assert said in capsys.readouterr().err
